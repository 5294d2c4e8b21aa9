//! Records to JSON and back: many small allocations, branches on bytes, digits of numbers.

use serde::{Deserialize, Serialize};

use crate::random::Random;

pub(crate) fn run(size: u64) -> u64 {
    let mut random = Random::new();
    let orders = (0..size)
        .map(|id| order(id, &mut random))
        .collect::<Vec<_>>();
    let text = serde_json::to_string(&orders).expect("the records are plain");
    let read = serde_json::from_str::<Vec<Order>>(&text).expect("it was written just now");
    let cents = read.iter().flat_map(|order| &order.items);
    let cents = cents.map(|item| u64::from(item.count) * (item.price * 100.0) as u64);
    cents.sum::<u64>() ^ ((text.len() as u64) << 32)
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    id: u64,
    customer: String,
    note: Option<String>,
    is_paid: bool,
    items: Vec<Item>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Item {
    name: String,
    count: u32,
    price: f64,
}

fn order(id: u64, random: &mut Random) -> Order {
    let items = (0..1 + random.below(4)).map(|_| Item {
        name: format!("item-{}", random.below(1_000)),
        count: random.below(20) as u32,
        price: random.below(100_000) as f64 / 100.0,
    });
    Order {
        id,
        items: items.collect(),
        customer: format!("customer {}", random.below(10_000)),
        // With characters that must be escaped, and some that need not be.
        note: (id.is_multiple_of(3)).then(|| "\"fragile\"\n\tBitte nicht st\u{FC}rzen".to_owned()),
        is_paid: id.is_multiple_of(2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_written_as_json_is() {
        let order = Order {
            id: 7,
            customer: "n\n".to_owned(),
            note: None,
            is_paid: true,
            items: vec![Item {
                name: "\u{FC}".to_owned(),
                count: 2,
                price: 0.25,
            }],
        };
        assert_eq!(
            serde_json::to_string(&order).unwrap(),
            "{\"id\":7,\"customer\":\"n\\n\",\"note\":null,\"is_paid\":true,\
             \"items\":[{\"name\":\"\u{FC}\",\"count\":2,\"price\":0.25}]}"
        );
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut random = Random::new();
        for id in 0..100 {
            let order = order(id, &mut random);
            let text = serde_json::to_string(&order).unwrap();
            assert_eq!(serde_json::from_str::<Order>(&text).unwrap(), order);
        }
    }
}
