//! Random values of random types, returned by components.

mod component;

use serde_json::{Value as Json, json};
use wasmpool::{Isolation, Pool, Type};

use self::component::echo;
use crate::support::{Random, Seed};

/// How deep types nest.
const DEPTH: u64 = 4;

#[test]
fn random_values_of_random_types_are_returned_unchanged() {
    let pool = Pool::builder()
        .workers(1)
        .no_cache()
        .isolation(Isolation::Worker)
        .build()
        .unwrap();
    for seed in 1..=150 {
        let named = Seed(seed);
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let ty = random_type(&mut random, DEPTH);
        let module = pool.load_bytes(&echo(&ty)).unwrap();
        let info = module.find("echo").unwrap();
        let signature = info.signature.as_ref().unwrap();
        assert_eq!(signature.params, [("value".to_owned(), ty.clone())]);
        assert_eq!(signature.result, Some(wrapped(&ty)), "{signature}");
        let task = module.task::<(Json,), Json>("echo").unwrap();
        for _ in 0..8 {
            let value = random_value(&mut random, &ty);
            let echoed = pool.submit(&task, (value.clone(),)).unwrap().wait();
            assert_eq!(echoed.unwrap(), json!([value]), "{ty}");
        }
        drop(named);
    }
}

/// The type that the component returns: in a tuple, so that a `result` is an ordinary value.
fn wrapped(ty: &Type) -> Type {
    Type::Tuple(vec![ty.clone()])
}

const SCALARS: &[Type] = &[
    Type::Bool,
    Type::S8,
    Type::U8,
    Type::S16,
    Type::U16,
    Type::S32,
    Type::U32,
    Type::S64,
    Type::U64,
    Type::F32,
    Type::F64,
    Type::Char,
    Type::String,
];

fn random_type(random: &mut Random, depth: u64) -> Type {
    if depth == 0 || random.below(4) == 0 {
        return SCALARS[index(random, SCALARS.len())].clone();
    }
    let inner = |random: &mut Random| Box::new(random_type(random, depth - 1));
    let maybe = |random: &mut Random| (random.below(3) > 0).then(|| inner(random));
    let n_parts = 1 + index(random, 5);
    let names = |n_names| (0..n_names).map(|part| format!("part-{part}"));
    match random.below(8) {
        0 => Type::List(inner(random)),
        1 => Type::Tuple((0..n_parts).map(|_| *inner(random)).collect()),
        2 => Type::Record(names(n_parts).map(|name| (name, *inner(random))).collect()),
        3 => {
            let payload = |random: &mut Random| maybe(random).map(|ty| *ty);
            Type::Variant(names(n_parts).map(|name| (name, payload(random))).collect())
        }
        4 => Type::Enum(names(1 + index(random, 300)).collect()),
        // As many flags as allowed.
        5 => Type::Flags(names(1 + index(random, 32)).collect()),
        6 => Type::Option(inner(random)),
        _ => Type::Result {
            ok: maybe(random),
            err: maybe(random),
        },
    }
}

/// A value in its JSON form.
fn random_value(random: &mut Random, ty: &Type) -> Json {
    let bits = |random: &mut Random| {
        let bits = random.below(u64::MAX);
        // Small values and the ends of the range are as likely as others.
        match random.below(4) {
            0 => bits % 3,
            1 => u64::MAX - bits % 3,
            2 => (1 << 63 | 1 << 31 | 1 << 15 | 1 << 7) - bits % 3,
            _ => bits,
        }
    };
    match ty {
        Type::Bool => json!(random.below(2) == 1),
        Type::S8 => json!(bits(random) as i8),
        Type::U8 => json!(bits(random) as u8),
        Type::S16 => json!(bits(random) as i16),
        Type::U16 => json!(bits(random) as u16),
        Type::S32 => json!(bits(random) as i32),
        Type::U32 => json!(bits(random) as u32),
        Type::S64 => json!(bits(random) as i64),
        Type::U64 => json!(bits(random)),
        Type::F32 => {
            let value = f32::from_bits(bits(random) as u32);
            // The shortest form of a fraction.
            let short = value.to_string().parse().unwrap();
            float(if value.fract() == 0.0 {
                value.into()
            } else {
                short
            })
        }
        Type::F64 => float(f64::from_bits(bits(random))),
        Type::Char => json!(character(random)),
        Type::String => {
            let len = random.below(20);
            json!((0..len).map(|_| character(random)).collect::<String>())
        }
        Type::List(element) => {
            let len = random.below(6);
            json!(
                (0..len)
                    .map(|_| random_value(random, element))
                    .collect::<Vec<_>>()
            )
        }
        Type::Tuple(types) => {
            let values = types.iter().map(|ty| random_value(random, ty));
            json!(values.collect::<Vec<_>>())
        }
        Type::Record(fields) => {
            let fields = fields.iter();
            let fields = fields.map(|(name, ty)| (name.clone(), random_value(random, ty)));
            Json::Object(fields.collect())
        }
        Type::Variant(cases) => {
            let (name, payload) = &cases[index(random, cases.len())];
            match payload {
                Some(ty) => json!({ name: random_value(random, ty) }),
                None => json!(name),
            }
        }
        Type::Enum(names) => json!(names[index(random, names.len())]),
        Type::Flags(names) => {
            let set = names.iter().filter(|_| random.below(2) == 1);
            json!(set.collect::<Vec<_>>())
        }
        Type::Option(inner) => {
            if random.below(3) == 0 {
                return Json::Null;
            }
            let value = random_value(random, inner);
            match **inner {
                // The outer none differs from the inner one.
                Type::Option(_) => json!({ "some": value }),
                _ => value,
            }
        }
        Type::Result { ok, err } => {
            let (name, payload) = match random.below(2) {
                0 => ("ok", ok),
                _ => ("err", err),
            };
            let value = payload.as_ref().map(|ty| random_value(random, ty));
            json!({ name: value })
        }
        _ => panic!("a type that this test does not know"),
    }
}

fn float(value: f64) -> Json {
    match value {
        value if value.is_nan() => json!("NaN"),
        f64::INFINITY => json!("Infinity"),
        f64::NEG_INFINITY => json!("-Infinity"),
        value => json!(value),
    }
}

fn character(random: &mut Random) -> char {
    const SOME: &[char] = &[
        'a',
        '"',
        '\\',
        '\0',
        'ß',
        '\u{7ff}',
        '\u{ffff}',
        '\u{10ffff}',
        '🦀',
    ];
    SOME[index(random, SOME.len())]
}

fn index(random: &mut Random, bound: usize) -> usize {
    usize::try_from(random.below(bound as u64)).unwrap()
}
