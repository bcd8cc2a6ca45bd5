//! Interop checks with the unmodified Rust client (unary calls only, TSO stream at start, every PD
//! header required). With "txn" as its first argument, transactions. Prints "PASS name" or "FAIL name: reason" per check; exits 1 if any failed.
mod txn;

use std::fmt::Debug;
use std::future::Future;
use std::process::exit;

use tikv_client::{ColumnFamily, Key, KvPair, RawClient, Result};

const ROWS: usize = 5000;

fn row(i: usize) -> (Vec<u8>, Vec<u8>) {
    (format!("rust-row-{i:06}").into_bytes(), format!("value-{i}").into_bytes())
}

fn same<T: PartialEq + Debug>(got: T, want: T) -> std::result::Result<(), String> {
    if got == want {
        return Ok(());
    }
    Err(format!("got {got:?}, want {want:?}"))
}

type Outcome = std::result::Result<(), String>;

async fn single_keys(client: &RawClient) -> Result<Outcome> {
    client.put("rust-a".to_owned(), "1".to_owned()).await?;
    let present = client.get("rust-a".to_owned()).await?;
    client.delete("rust-a".to_owned()).await?;
    let gone = client.get("rust-a".to_owned()).await?;
    Ok(same((present, gone), (Some(b"1".to_vec()), None)))
}

async fn batches(client: &RawClient) -> Result<Outcome> {
    for start in (0..ROWS).step_by(500) {
        client.batch_put((start..start + 500).map(|i| KvPair::from(row(i)))).await?;
    }
    let wanted: Vec<usize> = (0..ROWS).step_by(37).collect();
    let mut got = client.batch_get(wanted.iter().map(|&i| row(i).0)).await?;
    got.sort_by(|a, b| a.key().cmp(b.key()));
    let want: Vec<KvPair> = wanted.iter().map(|&i| KvPair::from(row(i))).collect();
    Ok(same(got, want))
}

async fn scans(client: &RawClient) -> Result<Outcome> {
    let range = || row(0).0..b"rust-row-~".to_vec();
    let rows = client.scan(range(), 1000).await?;
    let keys: Vec<Key> = client.scan_keys_reverse(range(), 10).await?;
    let want: Vec<KvPair> = (0..1000).map(|i| KvPair::from(row(i))).collect();
    let want_keys: Vec<Key> = (0..10).map(|i| Key::from(row(ROWS - 1 - i).0)).collect();
    Ok(same(rows, want).and_then(|()| same(keys, want_keys)))
}

async fn swaps(client: &RawClient) -> Result<Outcome> {
    let atomic = client.with_atomic_for_cas();
    let key = || "rust-cas".to_owned();
    atomic.delete(key()).await?;
    let first = atomic.compare_and_swap(key(), None, b"1".to_vec()).await?;
    let refused = atomic.compare_and_swap(key(), None, b"2".to_vec()).await?;
    let second = atomic.compare_and_swap(key(), b"1".to_vec(), b"2".to_vec()).await?;
    let want = ((None, true), (Some(b"1".to_vec()), false), (Some(b"1".to_vec()), true));
    Ok(same((first, refused, second), want))
}

async fn column_families(client: &RawClient) -> Result<Outcome> {
    let key = || "rust-cf".to_owned();
    client.put(key(), "default".to_owned()).await?;
    let write = client.with_cf(ColumnFamily::Write);
    write.put(key(), "write".to_owned()).await?;
    let got = (client.get(key()).await?, write.get(key()).await?);
    Ok(same(got, (Some(b"default".to_vec()), Some(b"write".to_vec()))))
}

async fn delete_range(client: &RawClient) -> Result<Outcome> {
    client.delete_range(row(0).0..row(ROWS / 2).0).await?;
    let left = client.scan_keys(row(0).0..b"rust-row-~".to_vec(), 1).await?;
    Ok(same(left, vec![Key::from(row(ROWS / 2).0)]))
}

async fn check(name: &str, run: impl Future<Output = Result<Outcome>>) -> bool {
    let outcome = match run.await {
        Ok(outcome) => outcome,
        Err(error) => Err(error.to_string()),
    };
    match &outcome {
        Ok(()) => println!("PASS {name}"),
        Err(reason) => println!("FAIL {name}: {reason}"),
    }
    outcome.is_ok()
}

#[tokio::main]
async fn main() {
    let mut pd: Vec<String> = std::env::args().skip(1).collect();
    if pd.first().is_some_and(|first| first == "txn") {
        exit(i32::from(!txn::run(pd.split_off(1)).await));
    }
    let client = match RawClient::new(pd).await {
        Ok(client) => client,
        Err(error) => {
            println!("FAIL open: {error}");
            exit(1);
        }
    };
    let passed = [
        check("put, get and delete", single_keys(&client)).await,
        check("batch put and batch get", batches(&client)).await,
        check("scan and reverse scan", scans(&client)).await,
        check("compare and swap", swaps(&client)).await,
        check("column families", column_families(&client)).await,
        check("delete range", delete_range(&client)).await,
    ];
    exit(i32::from(passed.contains(&false)));
}
