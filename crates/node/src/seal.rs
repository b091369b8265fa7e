//! Secrets at rest: sealed with the node's key, which is a file only its owner can read.
//!
//! ChaCha20-Poly1305 with a random 96-bit nonce in front. The name of what is sealed is authenticated
//! with it, so that one sealed secret cannot be put in another's place.

use std::{
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom as _, SystemRandom},
};

/// The node's key.
pub struct Sealer {
    key: LessSafeKey,
    random: SystemRandom,
}

/// A sealed text could not be opened, or a text not sealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The random generator failed, or the text is absurdly long.
    #[error("could not seal a secret: the system's random generator failed")]
    Seal,
    /// The text was sealed with another key, for another name, or was altered.
    #[error(
        "a stored secret cannot be opened: it was sealed with another node.key, or altered. Restore node.key \
         from the backup that belongs to this data, or enter the secret anew"
    )]
    Open,
}

impl Sealer {
    /// The key in `path`, made at random where there is none.
    pub fn open(path: &Path) -> io::Result<Self> {
        let random = SystemRandom::new();
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut bytes = vec![0; CHACHA20_POLY1305.key_len()];
                random
                    .fill(&mut bytes)
                    .map_err(|_| io::Error::other("the system's random generator failed"))?;
                let mut file =
                    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
                file.write_all(&bytes)?;
                file.sync_all()?;
                bytes
            }
            Err(error) => return Err(error),
        };
        let key = UnboundKey::new(&CHACHA20_POLY1305, &bytes).map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{}: a node key has 32 bytes", path.display()))
        })?;
        Ok(Self { key: LessSafeKey::new(key), random })
    }

    /// Seals `secret` under `name`.
    pub fn seal(&self, name: &str, secret: &str) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(|_| SealError::Seal)?;
        let mut body = secret.as_bytes().to_vec();
        self.key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(name.as_bytes()),
                &mut body,
            )
            .map_err(|_| SealError::Seal)?;
        let mut sealed = nonce.to_vec();
        sealed.append(&mut body);
        Ok(sealed)
    }

    /// Opens what was sealed under `name`.
    pub fn unseal(&self, name: &str, sealed: &[u8]) -> Result<String, SealError> {
        let (nonce, body) = sealed.split_at_checked(NONCE_LEN).ok_or(SealError::Open)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Open)?;
        let mut body = body.to_vec();
        let plain = self
            .key
            .open_in_place(nonce, Aad::from(name.as_bytes()), &mut body)
            .map_err(|_| SealError::Open)?;
        String::from_utf8(plain.to_vec()).map_err(|_| SealError::Open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_under_its_own_name_and_key_only() {
        let dir = tempfile::tempdir().unwrap();
        let sealer = Sealer::open(&dir.path().join("a")).unwrap();
        let sealed = sealer.seal("totp/1", "s3cret").unwrap();
        assert!(!sealed.windows(6).any(|w| w == b"s3cret"));
        assert_eq!(Sealer::open(&dir.path().join("a")).unwrap().unseal("totp/1", &sealed).unwrap(), "s3cret");
        assert_eq!(sealer.unseal("totp/2", &sealed), Err(SealError::Open));
        let other = Sealer::open(&dir.path().join("b")).unwrap();
        assert_eq!(other.unseal("totp/1", &sealed), Err(SealError::Open));
        for cut in 0..sealed.len() {
            assert!(sealer.unseal("totp/1", &sealed[..cut]).is_err());
        }
    }
}
