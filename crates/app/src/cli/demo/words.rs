//! The demo's words, in the languages of the citizens.

use clap::ValueEnum;
use guiche_kernel::Timestamp;

/// A language that the demo speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Language {
    /// Brazilian Portuguese.
    #[value(name = "pt-BR")]
    Portuguese,
    /// English.
    #[value(name = "en")]
    English,
}

impl Language {
    /// That of a locale's name, such as `pt_BR.UTF-8`; English for every other.
    pub(super) fn of(locale: &str) -> Self {
        if locale.to_ascii_lowercase().starts_with("pt") { Self::Portuguese } else { Self::English }
    }

    pub(super) const fn words(self) -> &'static Words {
        match self {
            Self::English => &ENGLISH,
            Self::Portuguese => &PORTUGUESE,
        }
    }
}

/// Everything that is said. `{}` stands where something is filled in, in the order of the arguments.
pub(super) struct Words {
    pub(super) starting: &'static str,
    pub(super) title: &'static str,
    at_private: &'static str,
    at_url: &'static str,
    pub(super) register: &'static str,
    pub(super) sign_in: &'static str,
    signed_in: &'static str,
    pub(super) choose: &'static str,
    price: &'static str,
    pub(super) form: &'static str,
    pub(super) typo: &'static str,
    wrong_digits: &'static str,
    refused: &'static str,
    pub(super) open: &'static str,
    opened: &'static str,
    pub(super) repeat: &'static str,
    pub(super) repeated: &'static str,
    pub(super) invoice: &'static str,
    decoded: &'static str,
    pub(super) hash: &'static str,
    pub(super) too_wide: &'static str,
    pub(super) pay: &'static str,
    paid_by_stub: &'static str,
    pub(super) your_wallet: &'static str,
    pub(super) confirm: &'static str,
    confirmed: &'static str,
    pub(super) again: &'static str,
    pub(super) still: &'static str,
    done: &'static str,
    /// Between groups of three digits.
    thousands: char,
}

const ENGLISH: Words = Words {
    starting: "starting an office of our own (a few seconds)",
    title: "A citizen comes to a public office, and pays for a service over Lightning.",
    at_private: "The office was opened just now and only for this; the money is play money.",
    at_url: "The office is {}.",
    register: "Register",
    sign_in: "Sign in",
    signed_in: "with the password; the access token is good for {} minutes",
    choose: "Choose",
    price: "{}, {} sats",
    form: "Form",
    typo: "A typo",
    wrong_digits: "{} {}: its check digits do not match",
    refused: "refused ({}): nothing was opened, nothing is owed",
    open: "Ticket",
    opened: "{}, {}",
    repeat: "Once more",
    repeated: "the same request, the same key: the same answer, byte for byte",
    invoice: "Invoice",
    decoded: "{} sats until {}, as any wallet reads it",
    hash: "payment hash",
    too_wide: "(too long for a QR code that fits a terminal)",
    pay: "Pay",
    paid_by_stub: "the Lightning stub plays the wallet; paid at {}",
    your_wallet: "pay it with your wallet; the office is asked every two seconds",
    confirm: "Confirm",
    confirmed: "the office asks its Lightning provider: {}",
    again: "Ask again",
    still: "the same payment, counted once",
    done: "paid: ticket {}, {} sats",
    thousands: ',',
};

const PORTUGUESE: Words = Words {
    starting: "abrindo um guichê só para isto (alguns segundos)",
    title: "Um cidadão vem ao guichê e paga um serviço público pela rede Lightning.",
    at_private: "O guichê foi aberto agora, só para isto; o dinheiro é de brincadeira.",
    at_url: "O guichê é {}.",
    register: "Cadastro",
    sign_in: "Entrada",
    signed_in: "com a senha; o token de acesso vale {} minutos",
    choose: "Serviço",
    price: "{}, {} sats",
    form: "Formulário",
    typo: "Um erro",
    wrong_digits: "{} {}: os dígitos verificadores não conferem",
    refused: "recusado ({}): nada foi aberto, nada é devido",
    open: "Pedido",
    opened: "{}, {}",
    repeat: "De novo",
    repeated: "o mesmo pedido, a mesma chave: a mesma resposta, byte a byte",
    invoice: "Fatura",
    decoded: "{} sats até {}, como qualquer carteira a lê",
    hash: "hash do pagamento",
    too_wide: "(longa demais para um QR code que caiba no terminal)",
    pay: "Pagamento",
    paid_by_stub: "o simulador faz o papel da carteira; pago às {}",
    your_wallet: "pague com a sua carteira; o guichê é consultado a cada dois segundos",
    confirm: "Confirmação",
    confirmed: "o guichê pergunta ao provedor Lightning: {}",
    again: "Outra vez",
    still: "o mesmo pagamento, contado uma só vez",
    done: "paid: pago, pedido {}, {} sats",
    thousands: '.',
};

impl Words {
    pub(super) fn place(&self, private: bool, url: &str) -> String {
        if private { self.at_private.to_owned() } else { filled(self.at_url, &[url]) }
    }

    pub(super) fn signed_in(&self, seconds: u64) -> String {
        filled(self.signed_in, &[&(seconds / 60).to_string()])
    }

    pub(super) fn price(&self, name: &str, sats: u64) -> String {
        filled(self.price, &[name, &self.grouped(sats)])
    }

    pub(super) fn wrong_digits(&self, field: &str, value: &str) -> String {
        filled(self.wrong_digits, &[field, value])
    }

    pub(super) fn refused(&self, code: &str) -> String {
        filled(self.refused, &[code])
    }

    pub(super) fn opened(&self, ticket: &str, status: &str) -> String {
        filled(self.opened, &[ticket, status])
    }

    pub(super) fn decoded(&self, sats: u64, until: Timestamp) -> String {
        filled(self.decoded, &[&self.grouped(sats), &clock(until)])
    }

    pub(super) fn paid_by_stub(&self, at: Timestamp) -> String {
        filled(self.paid_by_stub, &[&clock(at)])
    }

    pub(super) fn confirmed(&self, status: &str) -> String {
        filled(self.confirmed, &[status])
    }

    pub(super) fn done(&self, ticket: &str, sats: u64) -> String {
        filled(self.done, &[ticket, &self.grouped(sats)])
    }

    fn grouped(&self, number: u64) -> String {
        let digits = number.to_string();
        let mut grouped = String::new();
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                grouped.push(self.thousands);
            }
            grouped.push(digit);
        }
        grouped
    }
}

fn filled(template: &str, values: &[&str]) -> String {
    values.iter().fold(template.to_owned(), |text, value| text.replacen("{}", value, 1))
}

fn clock(moment: Timestamp) -> String {
    let (hour, minute, second) = moment.to_offset(time::UtcOffset::UTC).to_hms();
    format!("{hour:02}:{minute:02}:{second:02} UTC")
}
