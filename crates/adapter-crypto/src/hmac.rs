//! The cryptography behind `jsonwebtoken`: HMAC with SHA-2, and nothing else.
//!
//! The library's own providers bring RSA and elliptic curves along, forty crates that no token of ours ever needs; with
//! this one there is no code in the process that could be talked into checking a signature of another kind.

use std::sync::Once;

use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result};
use jsonwebtoken::signature::{Error as SignatureError, Signer, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, EncodingKey};
use sha2::{Sha256, Sha384, Sha512};

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| signer(*algorithm, key),
    verifier_factory: |algorithm, key| verifier(*algorithm, key),
    key_utils: KeyUtils::new_unimplemented(),
};

/// Makes this the provider of the process; may be called again, and from several threads at once, and has taken effect
/// when it returns. If the program has installed another provider before, that one stays: HMAC is the same everywhere.
pub(crate) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let _ = PROVIDER.install_default();
    });
}

/// An HMAC with its key, which signs and verifies.
struct Keyed<M> {
    algorithm: Algorithm,
    mac: M,
}

impl<M: KeyInit> Keyed<M> {
    fn new(algorithm: Algorithm, family: AlgorithmFamily, secret: &[u8]) -> Result<Self> {
        if family != AlgorithmFamily::Hmac {
            return Err(ErrorKind::InvalidKeyFormat.into());
        }
        let mac = M::new_from_slice(secret).map_err(|_| ErrorKind::InvalidKeyFormat)?;
        Ok(Self { algorithm, mac })
    }
}

impl<M: Mac + Clone> Signer<Vec<u8>> for Keyed<M> {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, SignatureError> {
        Ok(self.mac.clone().chain_update(message).finalize().into_bytes().to_vec())
    }
}

impl<M: Mac + Clone> Verifier<Vec<u8>> for Keyed<M> {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), SignatureError> {
        // Compares the whole length in constant time; a shortened signature is refused.
        self.mac.clone().chain_update(message).verify_slice(signature).map_err(|_| SignatureError::new())
    }
}

impl<M: Mac + Clone> JwtSigner for Keyed<M> {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl<M: Mac + Clone> JwtVerifier for Keyed<M> {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

fn signer(algorithm: Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    let (family, secret) = (key.family(), key.as_bytes());
    if algorithm == Algorithm::HS256 {
        Ok(Box::new(Keyed::<Hmac<Sha256>>::new(algorithm, family, secret)?))
    } else if algorithm == Algorithm::HS384 {
        Ok(Box::new(Keyed::<Hmac<Sha384>>::new(algorithm, family, secret)?))
    } else if algorithm == Algorithm::HS512 {
        Ok(Box::new(Keyed::<Hmac<Sha512>>::new(algorithm, family, secret)?))
    } else {
        Err(ErrorKind::InvalidAlgorithm.into())
    }
}

fn verifier(algorithm: Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    let (family, secret) = (key.family(), key.try_get_as_bytes()?);
    if algorithm == Algorithm::HS256 {
        Ok(Box::new(Keyed::<Hmac<Sha256>>::new(algorithm, family, secret)?))
    } else if algorithm == Algorithm::HS384 {
        Ok(Box::new(Keyed::<Hmac<Sha384>>::new(algorithm, family, secret)?))
    } else if algorithm == Algorithm::HS512 {
        Ok(Box::new(Keyed::<Hmac<Sha512>>::new(algorithm, family, secret)?))
    } else {
        Err(ErrorKind::InvalidAlgorithm.into())
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jsonwebtoken::crypto::{sign, verify};

    use super::*;

    /// RFC 7515, appendix A.1.
    const HEADER: &[u8] = b"{\"typ\":\"JWT\",\r\n \"alg\":\"HS256\"}";
    const PAYLOAD: &[u8] =
        b"{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}";
    const KEY: &str =
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    const SIGNATURE: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

    fn signing_input() -> Vec<u8> {
        format!("{}.{}", URL_SAFE_NO_PAD.encode(HEADER), URL_SAFE_NO_PAD.encode(PAYLOAD)).into_bytes()
    }

    #[test]
    fn the_known_answer_of_rfc_7515_comes_out() {
        install();
        let (input, key) = (signing_input(), URL_SAFE_NO_PAD.decode(KEY).unwrap());
        assert!(
            input.starts_with(b"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEz")
        );
        let signature = sign(&input, &EncodingKey::from_secret(&key), Algorithm::HS256).unwrap();
        assert_eq!(signature, SIGNATURE);
        let key = DecodingKey::from_secret(&key);
        assert!(verify(SIGNATURE, &input, &key, Algorithm::HS256).unwrap());
        assert!(!verify(SIGNATURE, b"another", &key, Algorithm::HS256).unwrap());
        assert!(!verify(SIGNATURE, &input, &DecodingKey::from_secret(b"another"), Algorithm::HS256).unwrap());
    }

    #[test]
    fn the_known_answers_of_rfc_4231_come_out_for_the_longer_hashes() {
        install();
        let known = [
            (Algorithm::HS256, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
            (
                Algorithm::HS384,
                "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
            ),
            (
                Algorithm::HS512,
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fd\
                 caeab1a34d4a6b4b636e070a38bce737",
            ),
        ];
        for (algorithm, expected) in known {
            let signature =
                sign(b"what do ya want for nothing?", &EncodingKey::from_secret(b"Jefe"), algorithm);
            let bytes = URL_SAFE_NO_PAD.decode(signature.unwrap()).unwrap();
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, expected, "{algorithm:?}");
        }
    }

    #[test]
    fn a_part_of_a_signature_is_no_signature() {
        install();
        let (input, key) = (signing_input(), DecodingKey::from_secret(&URL_SAFE_NO_PAD.decode(KEY).unwrap()));
        let whole = URL_SAFE_NO_PAD.decode(SIGNATURE).unwrap();
        for length in 0..whole.len() {
            let part = URL_SAFE_NO_PAD.encode(&whole[..length]);
            assert!(!verify(&part, &input, &key, Algorithm::HS256).unwrap(), "{length} bytes");
        }
    }

    #[test]
    fn other_kinds_of_keys_and_algorithms_are_refused() {
        install();
        let (hmac, rsa) = (DecodingKey::from_secret(b"Jefe"), DecodingKey::from_rsa_der(b"Jefe"));
        for algorithm in [Algorithm::RS256, Algorithm::PS512, Algorithm::ES256, Algorithm::EdDSA] {
            assert!(verify("AAAA", b"x", &hmac, algorithm).is_err(), "{algorithm:?}");
            assert!(sign(b"x", &EncodingKey::from_secret(b"Jefe"), algorithm).is_err(), "{algorithm:?}");
        }
        assert!(verify("AAAA", b"x", &rsa, Algorithm::HS256).is_err());
        assert!(sign(b"x", &EncodingKey::from_rsa_der(b"Jefe"), Algorithm::HS256).is_err());
    }

    #[test]
    fn installing_from_many_threads_at_once_is_fine() {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                std::thread::spawn(|| {
                    install();
                    sign(b"x", &EncodingKey::from_secret(b"Jefe"), Algorithm::HS256).unwrap()
                })
            })
            .collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap().len(), 43);
        }
    }
}
