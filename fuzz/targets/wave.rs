//! Calls and results in WAVE, along random signatures.

#![no_main]

use arbitrary::Result;
use libfuzzer_sys::fuzz_target;
use wasmpool_fuzz::forms::{encode, encode_arguments, signature_of, to_wave};
use wasmpool_fuzz::{Signature, Type, Unstructured, Value, random};

fuzz_target!(|data: &[u8]| {
    let _ = check(&mut Unstructured::new(data));
});

fn check(input: &mut Unstructured<'_>) -> Result<()> {
    let params = random::any_types(input)?;
    let signature = signature_of(&params, params.first().cloned());
    let values = params.iter().map(|ty| random::any_value(input, ty));
    let values = values.collect::<Result<Vec<_>>>()?;
    // What is written is read, as it was.
    let parts = params.iter().zip(&values).map(|(ty, value)| {
        let wire = encode(ty, value).unwrap();
        to_wave(ty, &wire).unwrap()
    });
    let call = format!("f({})", parts.collect::<Vec<_>>().join(", "));
    let read = signature
        .wave_arguments(&call)
        .unwrap_or_else(|error| panic!("{signature}: {call}: {error}"));
    assert_eq!(read, values, "{signature}: {call}");
    if !input.is_empty() {
        let parts = params.iter().map(|ty| {
            let ty = random::similar_type(input, ty)?;
            let value = random::any_value(input, &ty)?;
            Ok(wave(&ty, &value))
        });
        let parts = parts.collect::<Result<Vec<_>>>()?;
        check_text(&signature, &format!("f({})", parts.join(", ")));
        let mut corrupted = call.into_bytes();
        random::corrupt(input, &mut corrupted)?;
        check_text(&signature, &String::from_utf8_lossy(&corrupted));
    }
    let rest = String::from_utf8_lossy(input.bytes(input.len())?);
    check_text(&signature, &rest);
    check_text(&signature, &format!("f({rest})"));
    Ok(())
}

/// A text of anybody.
fn check_text(signature: &Signature, text: &str) {
    let arguments = match signature.wave_arguments(text) {
        Ok(arguments) => arguments,
        Err(error) => {
            // The fault is where there is text, or just behind it.
            let line = text.split('\n').nth(error.line() - 1);
            let line = line.unwrap_or_else(|| panic!("{text:?}: {error}"));
            let n_columns = line.chars().count();
            assert!((1..=n_columns + 1).contains(&error.column()), "{error}");
            assert!(!error.problem().is_empty() && error.problem().len() <= 20 << 10);
            return;
        }
    };
    let name = Signature::wave_name(text).unwrap();
    assert!(!name.is_empty());
    assert_eq!(arguments.len(), signature.params.len());
    let wire = encode_arguments(signature, &arguments).unwrap();
    // Written in our own way it means the same.
    let params = signature.params.iter().zip(&arguments);
    let parts = params.map(|((_, ty), value)| wave(ty, value));
    let call = format!("f({})", parts.collect::<Vec<_>>().join(", "));
    let again = signature.wave_arguments(&call).unwrap();
    assert_eq!(encode_arguments(signature, &again).unwrap(), wire);
    if let (Some(ty), Some(value)) = (&signature.result, arguments.first())
        && !matches!(ty, Type::Result { .. })
    {
        assert_eq!(signature.wave_output(value).unwrap(), wave(ty, value));
    }
}

fn wave(ty: &Type, value: &Value) -> String {
    to_wave(ty, &encode(ty, value).unwrap()).unwrap()
}
