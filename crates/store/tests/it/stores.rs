//! Every store of this crate against the conformance suite.

mod memory {
    use std::sync::Arc;

    use async_trait::async_trait;
    use watchfire_store::conformance::Bench;
    use watchfire_store::{MemoryStore, Store};

    #[derive(Default)]
    struct Memory(MemoryStore);

    #[async_trait]
    impl Bench for Memory {
        async fn open(&mut self) -> Arc<dyn Store> {
            Arc::new(self.0.clone())
        }

        fn keeps_store(&self) -> bool {
            true
        }
    }

    watchfire_store::conformance_tests!(Memory::default());
}

mod embedded {
    use std::sync::Arc;

    use async_trait::async_trait;
    use watchfire_store::conformance::Bench;
    use watchfire_store::{SqliteOptions, Store};

    struct Embedded(tempfile::TempDir);

    #[async_trait]
    impl Bench for Embedded {
        async fn open(&mut self) -> Arc<dyn Store> {
            let options = SqliteOptions::default();
            Arc::new(crate::reopen(self.0.path(), options).unwrap())
        }
    }

    watchfire_store::conformance_tests!(Embedded(tempfile::tempdir().unwrap()));
}
