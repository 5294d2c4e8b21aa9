//! Tasks that call functions of the embedding program, through stubs that the SDK makes from WIT.

wasmpool_guest::host_functions! {
    mod host { path: "wit", world: "tasks" }
}

#[wasmpool_guest::tasks(children)]
mod tasks {
    use wasmpool_guest::Failure;

    use crate::host::acme::host::accounts::{self, Problem};
    use crate::host::acme::host::log::{self, Level};

    /// The balance of an account, which the embedding program looks up.
    pub fn balance(name: &str) -> Result<i64, Failure> {
        match accounts::find(name) {
            Ok(account) => {
                log::write(Level::Info, &format!("{} was looked up", account.name));
                Ok(account.balance)
            }
            Err(Problem::Unknown(name)) => Err(Failure::new("unknown", name)),
            Err(Problem::Closed) => Err(Failure::new("closed", "the account is closed")),
        }
    }

    /// The balances of several accounts, each looked up by a task of its own.
    pub fn total(names: Vec<String>) -> Result<i64, Failure> {
        let mut total = 0;
        for name in names {
            let child = balance::submit(&name)?;
            total += child.wait()?;
        }
        Ok(total)
    }
}
