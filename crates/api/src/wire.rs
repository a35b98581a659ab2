//! The JSON that programs exchange with a node: requests read strictly, answers that may grow.
//!
//! **Invariant:** an unknown field of a request is refused; a caller who misspells `test` must not raise an alert.
//! **Invariant:** nothing here is hashed, signed or read back into a record.

mod access;
mod action;
mod alert;
mod bank;
mod charter;
mod event;
mod evidence;
mod hash;
mod incident;
mod live;
mod log_path;
mod lookup;
mod member;
mod policy;
mod proof;
mod review;
mod scan;
mod seen;
mod signal;

pub use access::{
    AccountRequest, AccountView, Accounts, AuditLine, AuditPage, AuditQuery, DEFAULT_OVERLAP_S,
    DeskQuery, DeskReport, InvitationRequest, Invited, KeyMade, KeyRequest, KeyView, Keys,
    LoginRequest, Role, RoleRequest, RotateRequest, Scope, SessionView,
};
pub use action::{ActionQuery, EffectState, EffectView, Effects, RuleRequest};
pub use alert::{
    AlertPage, AlertPageQuery, AlertRequest, AlertSummary, AlertView, Answered, AppealRequest,
    ConfirmRequest, CosignRetractionRequest, CountsView, DEFAULT_VALID_FOR_S, DisputeRequest,
    EraseRecordRequest, EraseRequest, ErasureAnswer, JoinRequest, OpinionView, OutcomeView,
    PreflightView, Protection, Raised, RenewRequest, ResolveRequest, RetractRequest, SightingView,
    Stance, StopRequest,
};
pub use bank::{
    BankAdded, BankChangeRequest, BankContentChangeRequest, BankContentPage, BankContentQuery,
    BankContentRequest, BankContentView, BankList, BankMatch, BankRequest, BankView,
};
pub use charter::{
    ApproveAnswer, ApproveRequest, CharterList, CharterQuery, CharterView, DoubleApproval,
    InviteAnswer, InviteRequest, MembershipAnswer, MembershipRequest, MembershipState,
    ProposalView, ProposeRequest,
};
pub use event::EventView;
pub use evidence::{Consistency, ContradictionProof, Cosigned, Evidence, ForkProof};
pub use hash::{HashRequest, Hashed, MediaInfo};
pub use incident::{
    ConcludeRequest, CosignRequest, IncidentAnswer, IncidentCounts, IncidentList, IncidentRequest,
    IncidentState, IncidentUpdateRequest, IncidentView,
};
pub use live::{DEFAULT_EVERY_S, DEFAULT_SEGMENT_S, LiveLine, LiveQuery, LiveVerdict};
pub use log_path::LogPath;
pub use lookup::{LookupQuery, Lookups};
pub use member::{
    HeadsExchange, LackingAnswer, MemberView, Members, QuotaView, QuotasView, Readiness, ReadyView,
    Receipt, SizeAnswer, StopAnswer, TakenAnswer,
};
pub use policy::{
    BacktestRequest, BacktestStep, ExplainQuery, ExplainView, HoldView, HoldsView, PolicyApplied,
    PolicyText, PolicyView, PromoteRequest,
};
pub use proof::ProofQuery;
pub use review::{
    DecideRequest, ReviewDecided, ReviewDecision, ReviewNext, ReviewNextRequest, ReviewPage,
    ReviewPageQuery, ReviewQueue, ReviewQueues, ReviewScope, ReviewTicket,
};
pub use scan::{Edit, Match, MatchDepth, Method, ScanQuery, ScanRequest, Verdict, VerdictKind};
pub use seen::{Imported, SeenLine};
pub use signal::{SignalJson, SignalSummary, State};
