//! What the database, the network or the encryption said, in plain words: what is wrong and what to do. Where, the caller says.

use std::error::Error as _;
use std::io;

use rustls::CertificateError;
use tokio_postgres::error::{DbError, SqlState};

type Source<'e> = &'e (dyn std::error::Error + 'static);

/// The words for an error of the driver.
pub(super) fn explain(error: &tokio_postgres::Error) -> String {
    if let Some(database) = error.as_db_error() {
        return refusal(database);
    }
    if error.is_closed() {
        return CUT.to_owned();
    }
    let chain = || std::iter::successors(error.source(), |error| inner(*error));
    if let Some(tls) = chain().find_map(|error| error.downcast_ref::<rustls::Error>()) {
        return encryption(tls);
    }
    if let Some(io) = chain().filter_map(|error| error.downcast_ref::<io::Error>()).last() {
        return network(io);
    }
    let last = chain().last().map_or_else(|| error.to_string(), ToString::to_string);
    match &*last {
        "password missing" => format!("the server asks for a password; {PASSWORD}"),
        "server does not support TLS" => {
            "the server does not encrypt connections; turn its encryption on (ssl = on), or say \
            sslmode=disable if nobody else can read the network in between"
                .to_owned()
        }
        _ => last,
    }
}

const CUT: &str = "the connection was cut; the log of the server says why, if it was not the network";

const PASSWORD: &str = "give that of this user in PGPASSWORD";

/// An error inside of another one: also what an error of the system was made from.
fn inner(error: Source<'_>) -> Option<Source<'_>> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

/// What the database said, and what to do about what people meet when they set it up.
fn refusal(error: &DbError) -> String {
    let code = error.code();
    let mut text = format!("{} ({})", error.message(), code.code());
    let advice = [
        (SqlState::INVALID_PASSWORD, PASSWORD),
        (
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
            "let this user in from this address, in the server's pg_hba.conf",
        ),
        (
            SqlState::INVALID_CATALOG_NAME,
            "make it (CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0), or name another one",
        ),
        (
            SqlState::TOO_MANY_CONNECTIONS,
            "raise the server's max_connections, or put a pooler in between: each worker has up to 10",
        ),
        (SqlState::CANNOT_CONNECT_NOW, "try again in a moment"),
        (
            SqlState::READ_ONLY_SQL_TRANSACTION,
            "this is a standby: name the primary server, or both with target_session_attrs=read-write",
        ),
        (
            SqlState::INSUFFICIENT_PRIVILEGE,
            "use the role that owns the schema poll, or let it grant this one what docs/fleet.md lists",
        ),
    ];
    let advice = advice.into_iter().find(|(known, _)| known == code).map(|(_, advice)| advice);
    for more in [error.detail(), error.hint(), advice].into_iter().flatten() {
        text.push_str("; ");
        text.push_str(more);
    }
    text
}

fn encryption(error: &rustls::Error) -> String {
    let rustls::Error::InvalidCertificate(problem) = error else {
        return format!(
            "no encrypted connection: {error}; see the server's settings ssl, ssl_min_protocol_version and its log"
        );
    };
    let problem = match problem {
        CertificateError::UnknownIssuer => {
            "is of no trusted authority; give the certificate of its authority as sslrootcert=FILE".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "is for another name; use that name in the URL, or say sslmode=verify-ca with sslrootcert=FILE if any server of \
             that authority will do"
                .to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "has expired; the server needs a new one".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "is not valid yet; check this machine's clock".to_owned()
        }
        other => format!("is not accepted ({other}); the server needs another one"),
    };
    format!("the server's certificate {problem}")
}

fn network(error: &io::Error) -> String {
    let text = match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "nothing accepts connections there; start PostgreSQL, let it listen on this address (listen_addresses), or correct \
             the host and the port"
        }
        io::ErrorKind::NotFound => {
            "there is no socket of a server in this folder; start PostgreSQL, or correct the folder and the port"
        }
        io::ErrorKind::PermissionDenied if error.raw_os_error().is_some() => {
            "this user may not connect to it; see the permissions of the socket, or the rules of the firewall"
        }
        io::ErrorKind::TimedOut => {
            "the server did not answer in time; check the host, the port and the firewalls in between"
        }
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            "there is no way through the network to the server; check the address, and this machine's network"
        }
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => CUT,
        _ => {
            let text = error.to_string();
            if let Some(reason) = text.strip_prefix("failed to lookup address information: ") {
                return format!(
                    "the host has no address ({reason}); correct its name, or see this machine's DNS"
                );
            }
            let words = text.split(" (os error").next().unwrap_or(&text);
            return words.to_owned();
        }
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_network_say_what_to_do() {
        for (kind, expected) in [
            (io::ErrorKind::ConnectionRefused, "nothing accepts connections there; start PostgreSQL"),
            (io::ErrorKind::NotFound, "no socket"),
            (io::ErrorKind::TimedOut, "did not answer in time"),
            (io::ErrorKind::NetworkUnreachable, "no way through the network"),
            (io::ErrorKind::UnexpectedEof, "the connection was cut"),
        ] {
            let said = network(&kind.into());
            assert!(said.contains(expected), "{said}");
        }
        let of_system = network(&io::Error::from_raw_os_error(28));
        assert!(!of_system.contains("os error") && !of_system.is_empty(), "{of_system}");
        let lookup = io::Error::other("failed to lookup address information: Name or service not known");
        assert_eq!(
            network(&lookup),
            "the host has no address (Name or service not known); correct its name, or see this machine's DNS"
        );
        let standby = io::Error::new(io::ErrorKind::PermissionDenied, "database does not allow writes");
        assert_eq!(network(&standby), "database does not allow writes");
    }

    #[test]
    fn errors_of_the_encryption_say_what_to_do() {
        for (problem, expected) in [
            (CertificateError::UnknownIssuer, "sslrootcert=FILE"),
            (CertificateError::NotValidForName, "for another name"),
            (CertificateError::Expired, "has expired"),
            (CertificateError::Revoked, "is not accepted"),
        ] {
            let said = encryption(&problem.into());
            assert!(said.starts_with("the server's certificate ") && said.contains(expected), "{said}");
        }
        assert!(encryption(&rustls::Error::HandshakeNotComplete).starts_with("no encrypted connection: "));
    }

    #[test]
    fn what_is_wrapped_is_found() {
        let tls = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let outer = io::Error::new(io::ErrorKind::InvalidData, tls);
        assert!(inner(&outer).unwrap().is::<rustls::Error>());
    }
}
