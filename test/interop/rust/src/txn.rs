//! Transactions of the unmodified Rust client: unary calls only; it takes async commit and one phase
//! as promised, without a fall-back.
use std::time::Duration;

use tikv_client::{
    CheckLevel, Error, Key, KvPair, Result, TimestampExt, TransactionClient, TransactionOptions,
};

use crate::{check, same, Outcome};

const ROWS: usize = 2000;

fn row(i: usize) -> (Vec<u8>, Vec<u8>) {
    (format!("txn-row-{i:06}").into_bytes(), format!("value-{i}-{}", "x".repeat(i % 400)).into_bytes())
}

fn kinds() -> Vec<(&'static str, TransactionOptions)> {
    let optimistic = TransactionOptions::new_optimistic;
    let pessimistic = TransactionOptions::new_pessimistic;
    vec![
        ("optimistic", optimistic()),
        ("pessimistic", pessimistic()),
        ("async commit", optimistic().use_async_commit()),
        ("one phase", optimistic().try_one_pc()),
        ("pessimistic, async commit", pessimistic().use_async_commit()),
        ("pessimistic, one phase", pessimistic().try_one_pc()),
    ]
}

async fn read(client: &TransactionClient, key: &str) -> Result<Option<Vec<u8>>> {
    let now = client.current_timestamp().await?;
    client.snapshot(now, TransactionOptions::new_optimistic()).get(key.to_owned()).await
}

async fn commits(client: &TransactionClient) -> Result<Outcome> {
    for (name, options) in kinds() {
        for value in [Some("1"), Some("2"), None] {
            let mut txn = client.begin_with_options(options.clone()).await?;
            for key in ["txn-a", "txn-b"] {
                match value {
                    Some(value) => txn.put(key.to_owned(), value.to_owned()).await?,
                    None => txn.delete(key.to_owned()).await?,
                }
            }
            txn.commit().await?;
            let got = (read(client, "txn-a").await?, read(client, "txn-b").await?);
            let want = value.map(|value| value.as_bytes().to_vec());
            if let Err(reason) = same(got, (want.clone(), want)) {
                return Ok(Err(format!("{name}: {reason}")));
            }
        }
    }
    Ok(Ok(()))
}

async fn many_keys(client: &TransactionClient) -> Result<Outcome> {
    let mut txn = client.begin_optimistic().await?;
    for i in 0..ROWS {
        let (key, value) = row(i);
        txn.put(key, value).await?;
    }
    txn.commit().await?;
    let now = client.current_timestamp().await?;
    let mut snapshot = client.snapshot(now, TransactionOptions::new_optimistic());
    let range = || row(0).0..b"txn-row-~".to_vec();
    let rows: Vec<KvPair> = snapshot.scan(range(), ROWS as u32 + 1).await?.collect();
    let want: Vec<KvPair> = (0..ROWS).map(|i| KvPair::from(row(i))).collect();
    let last: Vec<Key> = snapshot.scan_keys_reverse(range(), 3).await?.collect();
    let want_last: Vec<Key> = (1..4).map(|i| Key::from(row(ROWS - i).0)).collect();
    let some: Vec<KvPair> = snapshot.batch_get((0..ROWS).step_by(9).map(|i| row(i).0)).await?.collect();
    Ok(same(rows, want).and_then(|()| same(last, want_last)).and_then(|()| same(some.len(), ROWS.div_ceil(9))))
}

async fn conflicts(client: &TransactionClient) -> Result<Outcome> {
    let mut late = client.begin_optimistic().await?;
    let mut first = client.begin_optimistic().await?;
    first.put("txn-conflict".to_owned(), "first".to_owned()).await?;
    first.commit().await?;
    late.put("txn-conflict".to_owned(), "second".to_owned()).await?;
    if late.commit().await.is_ok() {
        return Ok(Err("the later transaction was committed".to_owned()));
    }
    late.rollback().await?;
    let mut again = client.begin_optimistic().await?;
    again.insert("txn-conflict".to_owned(), "third".to_owned()).await?;
    if again.commit().await.is_ok() {
        return Ok(Err("an existing key was inserted".to_owned()));
    }
    again.rollback().await?;
    Ok(same(read(client, "txn-conflict").await?, Some(b"first".to_vec())))
}

async fn locks(client: &TransactionClient) -> Result<Outcome> {
    let mut setup = client.begin_optimistic().await?;
    setup.put("txn-lock".to_owned(), "0".to_owned()).await?;
    setup.commit().await?;
    let mut holder = client.begin_pessimistic().await?;
    let value = holder.get_for_update("txn-lock".to_owned()).await?;
    let beat = holder.send_heart_beat().await?;
    if beat == 0 {
        return Ok(Err("a heart beat told a ttl of 0".to_owned()));
    }
    let other = client.clone();
    let waiter = tokio::spawn(async move {
        loop {
            let mut txn = other.begin_pessimistic().await?;
            match txn.get_for_update("txn-lock".to_owned()).await {
                Ok(value) => {
                    txn.put("txn-lock".to_owned(), "2".to_owned()).await?;
                    txn.commit().await?;
                    return Ok::<_, Error>(value);
                }
                Err(_) => txn.rollback().await?,
            }
        }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    holder.put("txn-lock".to_owned(), "1".to_owned()).await?;
    holder.commit().await?;
    let seen = waiter.await.map_err(|error| Error::StringError(error.to_string()))??;
    let last = read(client, "txn-lock").await?;
    Ok(same((value, seen, last), (Some(b"0".to_vec()), Some(b"1".to_vec()), Some(b"2".to_vec()))))
}

async fn left_locks(client: &TransactionClient) -> Result<Outcome> {
    let options = TransactionOptions::new_pessimistic()
        .drop_check(CheckLevel::None)
        .heartbeat_option(tikv_client::transaction::HeartbeatOption::NoHeartbeat);
    let mut dead = client.begin_with_options(options).await?;
    dead.lock_keys(vec!["txn-dead".to_owned()]).await?;
    drop(dead);
    // This client does not wait as long as such a lock lives, 20 s; collection ends it at once.
    let now = client.current_timestamp().await?;
    if !client.gc(now).await? {
        return Ok(Err("PD took another safe point".to_owned()));
    }
    let mut txn = client.begin_optimistic().await?;
    txn.put("txn-dead".to_owned(), "mine".to_owned()).await?;
    txn.commit().await?;
    Ok(same(read(client, "txn-dead").await?, Some(b"mine".to_vec())))
}

async fn collects(client: &TransactionClient) -> Result<Outcome> {
    let now = client.current_timestamp().await?;
    if now.version() == 0 || !client.gc(now).await? {
        return Ok(Err("PD took another safe point".to_owned()));
    }
    client.unsafe_destroy_range(row(0).0..b"txn-row-~".to_vec()).await?;
    let later = client.current_timestamp().await?;
    let mut snapshot = client.snapshot(later, TransactionOptions::new_optimistic());
    let left: Vec<Key> = snapshot.scan_keys(row(0).0..b"txn-row-~".to_vec(), 5).await?.collect();
    Ok(same(left, vec![]))
}

/// Returns whether all checks passed.
pub async fn run(pd: Vec<String>) -> bool {
    let client = match TransactionClient::new(pd).await {
        Ok(client) => client,
        Err(error) => {
            println!("FAIL open: {error}");
            return false;
        }
    };
    let passed = [
        check("commit, overwrite, delete in every mode", commits(&client)).await,
        check("many keys, scans, batch get", many_keys(&client)).await,
        check("conflicts and inserts", conflicts(&client)).await,
        check("locks are waited for", locks(&client)).await,
        check("locks that were left are resolved", left_locks(&client)).await,
        check("garbage collection and destroyed ranges", collects(&client)).await,
    ];
    !passed.contains(&false)
}
