//! The names of streams, stores and subjects on the server.
//!
//! Does not know what is sent there.

/// The work queue: `wasmpool.tasks.TENANT.CALLER.NUMBER`.
pub(crate) const TASKS: &str = "WASMPOOL_TASKS";
pub(crate) const TASKS_SUBJECTS: &str = "wasmpool.tasks.>";
/// What became of tasks: `wasmpool.outcomes.CALLER.NUMBER`.
pub(crate) const OUTCOMES: &str = "WASMPOOL_OUTCOMES";
pub(crate) const OUTCOMES_SUBJECTS: &str = "wasmpool.outcomes.>";
/// The stores of modules, by their hash, and of payloads that are too large for a message.
pub(crate) const MODULES: &str = "wasmpool-modules";
pub(crate) const PAYLOADS: &str = "wasmpool-payloads";
/// Which nodes there are, and how many times tasks that were delivered again were started.
pub(crate) const NODES: &str = "wasmpool-nodes";
pub(crate) const STARTS: &str = "wasmpool-starts";
/// A tenant has new tasks. The payload is its token.
pub(crate) const WAKE: &str = "wasmpool.wake";
/// Callers say that they are there, and which tasks they have cancelled: `wasmpool.lease.CALLER`.
pub(crate) const LEASES: &str = "wasmpool.lease.*";
/// Callers say that they leave: `wasmpool.gone.CALLER`.
pub(crate) const DEPARTURES: &str = "wasmpool.gone.*";

/// The token of tasks without a tenant. No tenant's token has an underscore.
const NOBODY: &str = "_";

/// Which task it is: its caller, and its number there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct TaskId {
    pub(crate) caller: String,
    pub(crate) number: u64,
}

impl TaskId {
    /// Where the task is queued.
    pub(crate) fn subject(&self, tenant: &str) -> String {
        format!("wasmpool.tasks.{tenant}.{}.{}", self.caller, self.number)
    }

    /// The task that is queued there. The subject and not the message says whose a task is: the
    /// server can limit who publishes on a subject.
    pub(crate) fn of_subject(subject: &str) -> Option<Self> {
        let rest = subject.strip_prefix("wasmpool.tasks.")?;
        let mut tokens = rest.split('.').skip(1);
        let (caller, number) = (tokens.next()?, tokens.next()?.parse().ok()?);
        tokens.next().is_none().then(|| Self {
            caller: caller.to_owned(),
            number,
        })
    }

    /// Where its outcome is stored.
    pub(crate) fn outcome(&self) -> String {
        format!("wasmpool.outcomes.{}.{}", self.caller, self.number)
    }

    /// The name of its arguments in the store of payloads.
    pub(crate) fn arguments(&self) -> String {
        format!("{}.arguments", self.key())
    }

    /// A name for the task in stores, and for messages that must not be stored twice.
    pub(crate) fn key(&self) -> String {
        format!("{}.{}", self.caller, self.number)
    }
}

/// The number of the task whose outcome has this subject.
pub(crate) fn number_of_outcome(subject: &str) -> Option<u64> {
    subject.rsplit('.').next()?.parse().ok()
}

/// All outcomes of a caller.
pub(crate) fn outcomes_of(caller: &str) -> String {
    format!("wasmpool.outcomes.{caller}.>")
}

/// All queued tasks of a tenant.
pub(crate) fn tasks_of_tenant(tenant: &str) -> String {
    format!("wasmpool.tasks.{tenant}.>")
}

/// Where a caller listens for outcomes that need not be stored.
pub(crate) fn answers_to(caller: &str) -> String {
    format!("wasmpool.answers.{caller}")
}

/// All queued tasks of a caller.
pub(crate) fn tasks_of_caller(caller: &str) -> String {
    format!("wasmpool.tasks.*.{caller}.*")
}

pub(crate) fn lease(caller: &str) -> String {
    format!("wasmpool.lease.{caller}")
}

pub(crate) fn departure(caller: &str) -> String {
    format!("wasmpool.gone.{caller}")
}

/// The name of a tenant as a token of a subject, which has no dots, spaces or wildcards. Letters,
/// digits and `-` stand for themselves, other bytes are written in hexadecimal after `=`.
pub(crate) fn tenant_token(tenant: Option<&str>) -> String {
    let Some(tenant) = tenant else {
        return NOBODY.to_owned();
    };
    let mut token = String::new();
    for byte in tenant.bytes() {
        match byte {
            b'-' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => token.push(char::from(byte)),
            _ => token.push_str(&format!("={byte:02X}")),
        }
    }
    match token.is_empty() {
        // A token must not be empty, and no byte is written like this.
        true => "=".to_owned(),
        false => token,
    }
}

/// The name of the tenant with this token; `None` for tasks without a tenant.
pub(crate) fn tenant_name(token: &str) -> Option<String> {
    if token == NOBODY {
        return None;
    }
    let mut parts = token.split('=');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (code, rest) = part.split_at_checked(2).unwrap_or_default();
        bytes.extend(u8::from_str_radix(code, 16));
        bytes.extend(rest.as_bytes());
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenants_token_has_no_special_character_and_gives_the_name_back() {
        for name in ["", "a", "team-7", "a.b", "*", ">", "_", "=", "a b", "Ä/ö"] {
            let token = tenant_token(Some(name));
            assert!(!token.is_empty(), "{name}");
            assert!(!token.contains(['.', '*', '>', ' ', '/', '_']), "{token}");
            assert_eq!(tenant_name(&token).as_deref(), Some(name), "{token}");
        }
        assert_eq!(tenant_name(&tenant_token(None)), None);
    }

    #[test]
    fn a_subject_says_which_task_it_is() {
        let id = TaskId {
            caller: "abc".to_owned(),
            number: 7,
        };
        let subject = id.subject(&tenant_token(Some("a.b")));
        assert_eq!(TaskId::of_subject(&subject), Some(id.clone()));
        assert_eq!(number_of_outcome(&id.outcome()), Some(7));
        for other in ["wasmpool.tasks.a.b", "wasmpool.tasks.a.b.1.2", "x.a.b.1"] {
            assert_eq!(TaskId::of_subject(other), None, "{other}");
        }
    }
}
