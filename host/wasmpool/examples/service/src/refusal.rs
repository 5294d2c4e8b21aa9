//! What is answered in the place of a result: wasmpool's errors as statuses of HTTP.
//!
//! | status | who can do something about it |
//! |---|---|
//! | 400, 404, 413, 422 | the client: another request |
//! | 500 | the operator: this service has a defect, or its host has no memory left |
//! | 502 | the author of the module: the guest is broken |
//! | 503 | nobody needs to: the same request may come again, later or elsewhere |
//! | 504 | the client, with a smaller request, or the operator, with a longer timeout |

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use wasmpool::{SubmitError, SubmitErrorKind, TaskError, TaskErrorKind, TaskRefError};

/// After how many seconds a client may try again that came when there was no room.
const RETRY_AFTER: &str = "1";

/// Why a request has no result.
pub(crate) enum Refusal {
    /// The module has no such task, or it takes another number of arguments.
    NoSuchTask(TaskRefError),
    /// The pool did not accept the task.
    NotAccepted(SubmitErrorKind),
    /// The task has failed.
    Failed(TaskError),
}

impl From<TaskRefError> for Refusal {
    fn from(error: TaskRefError) -> Self {
        Self::NoSuchTask(error)
    }
}

impl<Args> From<SubmitError<Args>> for Refusal {
    fn from(error: SubmitError<Args>) -> Self {
        Self::NotAccepted(error.kind().clone())
    }
}

impl From<TaskError> for Refusal {
    fn from(error: TaskError) -> Self {
        Self::Failed(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        // The words of a guest are in the messages. JSON escapes their control characters.
        let (status, body) = match self {
            Self::NoSuchTask(error) => (
                StatusCode::NOT_FOUND,
                json!({ "kind": "no-such-task", "message": error.to_string() }),
            ),
            Self::NotAccepted(kind) => (
                status_of_refusal(&kind),
                json!({ "kind": "not-accepted", "message": kind.to_string() }),
            ),
            Self::Failed(error) => (
                status_of_failure(error.kind()),
                json!({
                    "kind": error.kind().name(),
                    "code": error.code(),
                    "message": error.message(),
                }),
            ),
        };
        let answer = (status, Json(body));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            return ([(header::RETRY_AFTER, RETRY_AFTER)], answer).into_response();
        }
        answer.into_response()
    }
}

fn status_of_refusal(kind: &SubmitErrorKind) -> StatusCode {
    match kind {
        SubmitErrorKind::Full | SubmitErrorKind::ShutDown => StatusCode::SERVICE_UNAVAILABLE,
        SubmitErrorKind::BadArguments(_) => StatusCode::BAD_REQUEST,
        // The service has set its pool and its tasks up wrongly; and kinds to come.
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn status_of_failure(kind: TaskErrorKind) -> StatusCode {
    match kind {
        TaskErrorKind::BadArguments => StatusCode::BAD_REQUEST,
        TaskErrorKind::UnknownTask => StatusCode::NOT_FOUND,
        // The task has said no; or this input wants more than a task may have.
        TaskErrorKind::Failed
        | TaskErrorKind::MemoryLimit
        | TaskErrorKind::OutputLimit
        | TaskErrorKind::OutOfFuel
        | TaskErrorKind::StackExhausted
        | TaskErrorKind::HandleLimit => StatusCode::UNPROCESSABLE_ENTITY,
        // No 500, which is for defects of this service.
        TaskErrorKind::BadResult
        | TaskErrorKind::Trap(_)
        | TaskErrorKind::Exited(_)
        | TaskErrorKind::StartFailed
        | TaskErrorKind::InitializerFailed => StatusCode::BAD_GATEWAY,
        // It never ran, or was stopped because this process ends or has too little memory: another
        // one may take it.
        TaskErrorKind::QueueTimedOut
        | TaskErrorKind::Cancelled
        | TaskErrorKind::ShutDown
        | TaskErrorKind::MemoryBudget => StatusCode::SERVICE_UNAVAILABLE,
        TaskErrorKind::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        // `Internal`, and kinds to come.
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
