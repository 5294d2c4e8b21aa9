//! The asynchronous functions.

use std::cell::Cell;
use std::future::pending;
use std::hint::black_box;

use exports::acme::awaiting::tasks::{Found, Guest, Wide};
use futures::stream::{FuturesUnordered, StreamExt as _};
use wasip3::clocks::monotonic_clock::{now, wait_for};
use wit_bindgen::{FutureReader, StreamReader, StreamResult};

wit_bindgen::generate!({ world: "awaiting" });

struct Component;

export!(Component);

const MILLISECOND: u64 = 1_000_000;

thread_local! {
    static LEFT_BEHIND: Cell<u32> = const { Cell::new(0) };
}

impl Guest for Component {
    async fn factorize(n: u64) -> Vec<u64> {
        let (mut rest, mut factors) = (n, Vec::new());
        let mut divisor = 2;
        while divisor * divisor <= rest {
            while rest % divisor == 0 {
                factors.push(divisor);
                rest /= divisor;
            }
            divisor += 1;
        }
        if rest > 1 {
            factors.push(rest);
        }
        factors
    }

    async fn nothing() {}

    async fn halve(n: u64) -> Result<u64, String> {
        match n % 2 {
            0 => Ok(n / 2),
            _ => Err(format!("{n} is odd")),
        }
    }

    async fn swap(first: String, second: f32) -> (f32, String, Option<u64>) {
        let len = first.len() as u64;
        (second, first, Some(len))
    }

    async fn find(n: u64) -> Result<Found, Found> {
        match n {
            0 => Ok(Found::Nothing),
            1 => Ok(Found::Number(u64::MAX)),
            2 => Ok(Found::Text("two".to_owned())),
            3 => Ok(Found::Share(0.5)),
            _ => Err(Found::Text(format!("{n} is too many"))),
        }
    }

    async fn widen(n: u8) -> Wide {
        let at = |place: u8| n.wrapping_add(place);
        Wide {
            a: at(0),
            b: at(1),
            c: at(2),
            d: at(3),
            e: at(4),
            f: at(5),
            g: at(6),
            h: at(7),
            i: at(8),
            j: at(9),
            k: at(10),
            l: at(11),
            m: at(12),
            n: at(13),
            o: at(14),
            p: at(15),
            q: at(16),
        }
    }

    async fn nap(milliseconds: u64) -> u64 {
        let started = now();
        wait_for(milliseconds * MILLISECOND).await;
        now() - started
    }

    async fn naps(milliseconds: Vec<u64>) -> Vec<u64> {
        let naps = milliseconds.into_iter().map(|time| async move {
            wait_for(time * MILLISECOND).await;
            time
        });
        naps.collect::<FuturesUnordered<_>>().collect().await
    }

    async fn wait_in_all_ways(milliseconds: u64) {
        let (mut written, mut read) = wasip3::wit_stream::new::<u8>();
        let write = async move {
            wait_for(milliseconds * MILLISECOND).await;
            written.write_all(vec![1]).await;
        };
        let read = async move {
            let (result, bytes) = read.read(Vec::with_capacity(8)).await;
            assert_eq!((result, bytes), (StreamResult::Complete(1), vec![1]));
        };
        let naps = (0..10).map(|more| wait_for((milliseconds + more) * MILLISECOND));
        let naps = naps.collect::<FuturesUnordered<_>>().collect::<Vec<_>>();
        futures::join!(write, read, naps);
    }

    async fn never() {
        let (_written, mut read) = wasip3::wit_stream::new::<u8>();
        let _ = read.read(Vec::with_capacity(1)).await;
        pending().await
    }

    async fn spin() {
        loop {
            black_box(());
        }
    }

    async fn leave_behind(milliseconds: u64) -> u32 {
        LEFT_BEHIND.set(LEFT_BEHIND.get() + 1);
        wit_bindgen::spawn_local(async move {
            wait_for(milliseconds * MILLISECOND).await;
            LEFT_BEHIND.set(LEFT_BEHIND.get() - 1);
        });
        LEFT_BEHIND.get()
    }

    async fn flood(count: u32) -> u32 {
        let waits = (0..count).map(|_| wait_for(3_600_000 * MILLISECOND));
        let all = waits.collect::<FuturesUnordered<_>>().collect::<Vec<_>>();
        all.await.len() as u32
    }

    fn add(a: u32, b: u32) -> u32 {
        a + b
    }

    async fn shout(mut text: StreamReader<u8>) -> StreamReader<u8> {
        let (mut written, read) = wit_stream::new();
        wit_bindgen::spawn_local(async move {
            loop {
                let (result, mut bytes) = text.read(Vec::with_capacity(4096)).await;
                bytes.make_ascii_uppercase();
                written.write_all(bytes).await;
                if result == StreamResult::Dropped {
                    break;
                }
            }
        });
        read
    }

    async fn chatter() -> StreamReader<u8> {
        let (mut written, read) = wit_stream::new();
        wit_bindgen::spawn_local(async move {
            loop {
                written.write_all(vec![b'.'; 10_000]).await;
            }
        });
        read
    }

    async fn count_up() -> StreamReader<u32> {
        wit_stream::new().1
    }

    async fn later() -> FutureReader<u32> {
        wit_future::new(|| 1).1
    }
}
