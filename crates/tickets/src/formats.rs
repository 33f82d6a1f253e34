//! Brazilian document numbers: CPF (taxpayer) and CNH (driver's licence registration), each with two check digits.
//!
//! The functions answer why a number is refused, so that a form can say more than "invalid".

/// Why a document number is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberFault {
    /// It is not made of the right number of digits.
    Shape,
    /// The check digits do not match, or it is one digit repeated.
    CheckDigits,
}

/// Checks a CPF: 11 digits, written plain or as `123.456.789-09`; modulo 11, a repeated digit is refused.
///
/// # Errors
/// [`NumberFault`].
pub fn cpf(text: &str) -> Result<(), NumberFault> {
    let plain = text.len() == 11 || is_punctuated_cpf(text);
    let digits = eleven_digits(text, |byte| plain && matches!(byte, b'.' | b'-'))?;
    let check = |count: u32| {
        let weights = (2..=count.saturating_add(1)).rev();
        let sum: u32 = digits.iter().zip(weights).map(|(digit, weight)| digit * weight).sum();
        (sum * 10 % 11) % 10
    };
    verify(&digits, check(9), check(10))
}

fn is_punctuated_cpf(text: &str) -> bool {
    let separator = |index: usize| text.as_bytes().get(index).copied();
    text.len() == 14
        && separator(3) == Some(b'.')
        && separator(7) == Some(b'.')
        && separator(11) == Some(b'-')
}

/// Checks a CNH registration number: 11 digits. With `s1 = Σ dᵢ·(9..1) mod 11`, an `s1` of 10 makes the first check
/// digit 0 and discounts 2 from the second, which is `Σ dᵢ·(1..9) mod 11` less the discount; a repeated digit is refused.
///
/// # Errors
/// [`NumberFault`].
pub fn cnh(text: &str) -> Result<(), NumberFault> {
    let digits = eleven_digits(text, |_| false)?;
    let weighted = |weights: &mut dyn Iterator<Item = u32>| -> u32 {
        digits.iter().take(9).zip(weights).map(|(digit, weight)| digit * weight).sum::<u32>() % 11
    };
    let first = weighted(&mut (1..=9).rev());
    let (first, discount) = if first >= 10 { (0, 2) } else { (first, 0) };
    let second = weighted(&mut (1..=9));
    let second = if second < discount { second + 11 - discount } else { second - discount };
    verify(&digits, first, if second >= 10 { 0 } else { second })
}

fn eleven_digits(text: &str, skip: impl Fn(u8) -> bool) -> Result<[u32; 11], NumberFault> {
    let mut digits = [0; 11];
    let mut found = text.bytes().filter(|byte| !skip(*byte));
    for digit in &mut digits {
        let byte = found.next().filter(u8::is_ascii_digit).ok_or(NumberFault::Shape)?;
        *digit = u32::from(byte - b'0');
    }
    if found.next().is_some() { Err(NumberFault::Shape) } else { Ok(digits) }
}

fn verify(digits: &[u32; 11], first: u32, second: u32) -> Result<(), NumberFault> {
    let [head, rest @ ..] = digits;
    let repeated = rest.iter().all(|digit| digit == head);
    let [.., tenth, eleventh] = digits;
    if repeated || (*tenth, *eleventh) != (first, second) { Err(NumberFault::CheckDigits) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_numbers_pass() {
        for number in ["52998224725", "529.982.247-25", "11144477735"] {
            assert_eq!(cpf(number), Ok(()), "{number}");
        }
        assert_eq!(cnh("02650306461"), Ok(()));
    }

    #[test]
    fn one_wrong_digit_or_a_repeated_one_is_a_check_digit_fault() {
        assert_eq!(cpf("52998224726"), Err(NumberFault::CheckDigits));
        assert_eq!(cnh("02650306462"), Err(NumberFault::CheckDigits));
        for digit in 0..=9 {
            let repeated = digit.to_string().repeat(11);
            assert_eq!(cpf(&repeated), Err(NumberFault::CheckDigits), "{repeated}");
            assert_eq!(cnh(&repeated), Err(NumberFault::CheckDigits), "{repeated}");
        }
    }

    #[test]
    fn other_shapes_are_refused_as_such() {
        for text in [
            "",
            "1",
            "529982247250",
            "5299822472a",
            "529-982-247.25",
            "529.98224725",
            "５２９９８２２４７２５",
            "52998 24725",
        ] {
            assert_eq!(cpf(text), Err(NumberFault::Shape), "{text}");
        }
        assert_eq!(cnh("026.503.064-61"), Err(NumberFault::Shape));
    }

    /// The two weighted sums of the specification, done another way: over every licence number of a sample there is
    /// exactly one pair of check digits.
    #[test]
    fn every_stem_has_exactly_one_pair_of_check_digits() {
        for stem in (1_u32..1_000_000_000).step_by(7_777_777) {
            let pairs = |check: fn(&str) -> Result<(), NumberFault>| {
                (0..100).filter(|pair| check(&format!("{stem:09}{pair:02}")).is_ok()).count()
            };
            assert_eq!((pairs(cpf), pairs(cnh)), (1, 1), "{stem:09}");
        }
    }
}
