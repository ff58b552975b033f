//! Why a mutation is refused, in the words of iptables 1.8.9 (nf_tables).

/// Which mutation the kernel refused; named in the error text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// `-A`.
    Append,
    /// `-I`.
    Insert,
    /// `-R`.
    Replace,
}

impl Operation {
    fn text(self) -> &'static str {
        match self {
            Operation::Append => "RULE_APPEND",
            Operation::Insert => "RULE_INSERT",
            Operation::Replace => "RULE_REPLACE",
        }
    }
}

/// Why a mutation was refused. The texts are those of iptables 1.8.9 (nf_tables) without the program's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RulesetError {
    /// The chain that was named is not there.
    #[error("No chain/target/match by that name.")]
    NoChain,
    /// A new chain has the name of an old one.
    #[error("Chain already exists.")]
    ChainExists,
    /// A chain cannot be renamed to a name in use.
    #[error("File exists.")]
    FileExists,
    /// No such rule to delete or check.
    #[error("Bad rule (does a matching rule exist in that chain?).")]
    BadRule,
    /// An insertion behind the end.
    #[error("Index of insertion too big.")]
    InsertionIndex,
    /// A replacement behind the end.
    #[error("Index of replacement too big.")]
    ReplacementIndex,
    /// A deletion behind the end.
    #[error("Index of deletion too big.")]
    DeletionIndex,
    /// Only built-in chains have a policy.
    #[error("Bad built-in chain name.")]
    NotBuiltIn,
    /// A chain that is built in, in use or not empty cannot be deleted.
    #[error("CHAIN_DEL failed (Device or resource busy): chain {chain}")]
    Busy {
        /// The chain.
        chain: String,
    },
    /// The rule would make a loop of jumps or too deep a nesting.
    #[error("{} failed (Too many links): rule in chain {chain}", .operation.text())]
    TooManyLinks {
        /// What was tried.
        operation: Operation,
        /// On which chain.
        chain: String,
    },
    /// The target cannot be used in this table or from this hook, or with these matches.
    #[error("{} failed (Invalid argument): rule in chain {chain}", .operation.text())]
    InvalidArgument {
        /// What was tried.
        operation: Operation,
        /// On which chain.
        chain: String,
    },
    /// A jump leads to a chain that is not there.
    #[error("Chain '{chain}' does not exist")]
    NoTargetChain {
        /// The chain that is missing.
        chain: String,
    },
}
