//! Accounts and sessions. Every call is one function of the database, one round trip, one transaction.

use async_trait::async_trait;
use diesel::sql_types::{Binary, Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use guiche_kernel::{Caller, Epoch, StoreError, Timestamp, UserId};
use guiche_users::{
    Account, Credentials, Email, FamilyId, NewAccount, NewRefreshToken, NewSession, PasswordHash, Rotation,
    TokenHash, UserStore,
};
use uuid::Uuid;

use crate::pool::PgPool;
use crate::query::{one, sql_call};

/// Accounts and sessions on PostgreSQL.
#[derive(Clone)]
pub(crate) struct PgUserStore {
    pool: PgPool,
}

impl PgUserStore {
    pub(crate) const fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

sql_call! {
    struct Register<'a> = "register" {
        id: Uuid => SqlUuid,
        email: &'a str => Text,
        email_key: &'a str => Text,
        password_hash: &'a str => Text,
        created_at: Timestamp => Timestamptz,
    } -> (Bool,)
}

sql_call! {
    struct CredentialsByEmail<'a> = "credentials_by_email" {
        email_key: &'a str => Text,
    } -> (SqlUuid, Text, Integer)
}

sql_call! {
    struct AccountOf = "account_of" {
        user: Uuid => SqlUuid,
        epoch: i32 => Integer,
    } -> (Text, Timestamptz)
}

sql_call! {
    struct CredentialsOf = "credentials_of" {
        user: Uuid => SqlUuid,
        epoch: i32 => Integer,
    } -> (SqlUuid, Text, Integer)
}

sql_call! {
    struct OpenSession<'a> = "open_session" {
        user: Uuid => SqlUuid,
        epoch: i32 => Integer,
        family: Uuid => SqlUuid,
        token_hash: &'a [u8] => Binary,
        issued_at: Timestamp => Timestamptz,
        expires_at: Timestamp => Timestamptz,
        ends_at: Timestamp => Timestamptz,
    } -> (Bool,)
}

sql_call! {
    struct RotateToken<'a> = "rotate_token" {
        presented: &'a [u8] => Binary,
        successor: &'a [u8] => Binary,
        expires_at: Timestamp => Timestamptz,
        now: Timestamp => Timestamptz,
    } -> (Text, Nullable<SqlUuid>, Nullable<SqlUuid>, Nullable<Integer>, Nullable<Timestamptz>)
}

sql_call! {
    struct RevokeFamilyOf<'a> = "revoke_family_of" {
        token_hash: &'a [u8] => Binary,
        now: Timestamp => Timestamptz,
    } -> ()
}

sql_call! {
    struct ChangePassword<'a> = "change_password" {
        user: Uuid => SqlUuid,
        epoch: i32 => Integer,
        password_hash: &'a str => Text,
        now: Timestamp => Timestamptz,
    } -> (Integer,)
}

fn credentials((user, hash, epoch): (Uuid, String, i32)) -> Credentials {
    Credentials {
        user_id: UserId::new(user),
        password_hash: PasswordHash::new(hash),
        epoch: Epoch::new(epoch),
    }
}

#[async_trait]
impl UserStore for PgUserStore {
    async fn register(&self, account: &NewAccount) -> Result<(), StoreError> {
        let call = Register {
            id: account.id.as_uuid(),
            email: account.email.as_str(),
            email_key: account.email.key(),
            password_hash: account.password_hash.expose(),
            created_at: account.created_at,
        };
        let (stored,): (bool,) = one(self.pool.rows(call).await?)?;
        if stored { Ok(()) } else { Err(StoreError::Duplicate) }
    }

    async fn credentials_by_email(&self, email: &Email) -> Result<Option<Credentials>, StoreError> {
        let call = CredentialsByEmail { email_key: email.key() };
        Ok(self.pool.rows(call).await?.pop().map(credentials))
    }

    async fn get(&self, caller: &Caller) -> Result<Account, StoreError> {
        let call = AccountOf { user: caller.user_id.as_uuid(), epoch: caller.epoch.get() };
        let (email, created_at): (String, Timestamp) = one(self.pool.rows(call).await?)?;
        let email =
            Email::parse(&email).map_err(|_| StoreError::corrupt("a stored e-mail address is none"))?;
        Ok(Account { id: caller.user_id, email, created_at })
    }

    async fn credentials(&self, caller: &Caller) -> Result<Credentials, StoreError> {
        let call = CredentialsOf { user: caller.user_id.as_uuid(), epoch: caller.epoch.get() };
        Ok(credentials(one(self.pool.rows(call).await?)?))
    }

    async fn open_session(&self, caller: &Caller, session: NewSession) -> Result<(), StoreError> {
        let call = OpenSession {
            user: caller.user_id.as_uuid(),
            epoch: caller.epoch.get(),
            family: session.family_id.as_uuid(),
            token_hash: session.token_hash.as_bytes(),
            issued_at: session.issued_at,
            expires_at: session.expires_at,
            ends_at: session.ends_at,
        };
        let (stored,): (bool,) = one(self.pool.rows(call).await?)?;
        if stored { Ok(()) } else { Err(StoreError::Duplicate) }
    }

    async fn rotate(
        &self,
        presented: &TokenHash,
        successor: NewRefreshToken,
        now: Timestamp,
    ) -> Result<Rotation, StoreError> {
        let call = RotateToken {
            presented: presented.as_bytes(),
            successor: successor.token_hash.as_bytes(),
            expires_at: successor.expires_at,
            now,
        };
        type Row = (String, Option<Uuid>, Option<Uuid>, Option<i32>, Option<Timestamp>);
        let (outcome, user, family, epoch, expires_at): Row = one(self.pool.rows(call).await?)?;
        match (outcome.as_str(), user, family, epoch, expires_at) {
            ("rotated", Some(user), Some(family), Some(epoch), Some(expires_at)) => Ok(Rotation::Rotated {
                caller: Caller { user_id: UserId::new(user), epoch: Epoch::new(epoch) },
                family_id: FamilyId::new(family),
                expires_at,
            }),
            ("reused", Some(user), Some(family), ..) => {
                Ok(Rotation::Reused { user_id: UserId::new(user), family_id: FamilyId::new(family) })
            }
            ("revoked", ..) => Ok(Rotation::Revoked),
            ("expired", ..) => Ok(Rotation::Expired),
            ("unknown", ..) => Ok(Rotation::Unknown),
            _ => Err(StoreError::corrupt("an unknown outcome of a rotation")),
        }
    }

    async fn revoke_family_of(&self, token: &TokenHash, now: Timestamp) -> Result<(), StoreError> {
        let call = RevokeFamilyOf { token_hash: token.as_bytes(), now };
        self.pool.run(call).await.map(drop)
    }

    async fn change_password(
        &self,
        caller: &Caller,
        new_hash: &PasswordHash,
        now: Timestamp,
    ) -> Result<Epoch, StoreError> {
        let call = ChangePassword {
            user: caller.user_id.as_uuid(),
            epoch: caller.epoch.get(),
            password_hash: new_hash.expose(),
            now,
        };
        let (epoch,): (i32,) = one(self.pool.rows(call).await?)?;
        Ok(Epoch::new(epoch))
    }
}
