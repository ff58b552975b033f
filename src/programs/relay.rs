//! Two connections joined to one, as proxies do.

use super::tasks::both;
use crate::engine::sys::TcpStream;

/// Copies both ways, each to its own end.
pub(super) async fn relay(one: &TcpStream, other: &TcpStream) {
    both(copy(one, other), copy(other, one)).await;
}

/// Copies one direction and passes its end on.
async fn copy(from: &TcpStream, to: &TcpStream) {
    loop {
        match from.read(65_536).await {
            Ok(data) if data.is_empty() => {
                let _ = to.shutdown();
                return;
            }
            Ok(data) => {
                if to.write_all(&data).await.is_err() {
                    return;
                }
            }
            Err(_) => {
                to.reset();
                return;
            }
        }
    }
}
