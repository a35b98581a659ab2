//! Compares a copy of a log with the tree that somebody else has accepted of it, where its author has told two stories.
//!
//! **Invariant:** a copy is never said to be apart from that tree without a proof that leads to the accepted root, whoever
//! is asked.

use crate::frontier::Frontier;
use crate::hash::Hash;
use crate::proof::{self, ProofError, verify_consistency};
use crate::reader::HashReader;

/// The tree that is accepted of a log: so many leaves under this root. Whoever accepts it is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// Its leaves.
    pub size: u64,
    /// Its root.
    pub root: Hash,
}

/// How a copy stands to what is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It holds all of it, and perhaps more.
    Whole,
    /// It is the beginning of it.
    Begins,
    /// It is of another history.
    Apart {
        /// The leaves that both have in common.
        common: u64,
    },
}

impl Accepted {
    /// How the first `size` leaves that `held` has stand to it. `theirs` is asked for hashes and proofs, unless `held` has
    /// all of it.
    ///
    /// # Errors
    /// [`ProofError::Wrong`] where `theirs` does not have the accepted tree; others where one of the two cannot be read.
    pub async fn compare<H, T>(
        &self,
        (held, size): (&H, u64),
        theirs: &T,
    ) -> Result<Standing, ProofError>
    where
        H: HashReader + ?Sized,
        T: HashReader + ?Sized,
    {
        let shared = size.min(self.size);
        let ours = proof::root(held, shared).await?;
        if shared == self.size {
            if ours == self.root {
                return Ok(Standing::Whole);
            }
        } else if self.leads(theirs, (shared, &ours)).await.is_ok() {
            return Ok(Standing::Begins);
        }
        let other = proof::root(theirs, shared).await?;
        self.leads(theirs, (shared, &other)).await?;
        if other == ours {
            // It did not answer the same twice.
            return Err(ProofError::Wrong);
        }
        // The first leaf that differs: below it the two have one root at every size.
        let (mut common, mut apart) = (0, shared);
        while apart - common > 1 {
            let middle = common + (apart - common) / 2;
            if proof::root(held, middle).await? == proof::root(theirs, middle).await? {
                common = middle;
            } else {
                apart = middle;
            }
        }
        self.leads(theirs, (common, &proof::root(held, common).await?)).await?;
        Ok(Standing::Apart { common })
    }

    /// Checks that a copy that has grown from a right edge by these leaves is still the beginning of it, or holds all of it.
    ///
    /// # Errors
    /// [`ProofError::Wrong`] where it is not, or where `theirs`, which is asked for the proof, does not have it.
    pub async fn check<T: HashReader + ?Sized>(
        &self,
        (before, grown): (&Frontier, &[Hash]),
        theirs: &T,
    ) -> Result<(), ProofError> {
        let mut after = before.clone();
        let most = usize::try_from(self.size.saturating_sub(before.size())).unwrap_or(usize::MAX);
        grown.iter().take(most).for_each(|leaf| after.append(*leaf));
        self.leads(theirs, (after.size(), &after.root())).await
    }

    /// Checks that a tree of the same log begins with it, or is the beginning of it.
    ///
    /// # Errors
    /// As [`Accepted::check`].
    pub async fn goes_with<T: HashReader + ?Sized>(
        &self,
        (size, root): (u64, &Hash),
        theirs: &T,
    ) -> Result<(), ProofError> {
        if size <= self.size {
            return self.leads(theirs, (size, root)).await;
        }
        let path = proof::consistency(theirs, self.size, size).await?;
        verify_consistency(self.size, &self.root, size, root, &path)
    }

    /// Checks by a proof of somebody's that a tree is the beginning of the accepted one.
    async fn leads<T: HashReader + ?Sized>(
        &self,
        theirs: &T,
        (size, root): (u64, &Hash),
    ) -> Result<(), ProofError> {
        let path = match size {
            size if size == self.size => Vec::new(),
            size => proof::consistency(theirs, size, self.size).await?,
        };
        verify_consistency(size, root, self.size, &self.root, &path)
    }
}
