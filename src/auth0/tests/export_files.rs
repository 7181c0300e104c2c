//! The file of an export, at the speed of its server.

use super::*;

/// A server whose file arrives in parts of this size, one a second; and the address of the file.
async fn server(file: &'static [u8], size: usize) -> (String, JoinSet<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let location = format!("http://{}/file", listener.local_addr().unwrap());
    let answer = async move || {
        let parts = stream::iter(file.chunks(size)).then(async |part| {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok::<_, std::io::Error>(part)
        });
        Response::new(Body::from_stream(parts))
    };
    let app = axum::Router::new().fallback(answer);
    let mut server = JoinSet::new();
    server.spawn(async move { axum::serve(listener, app).await.unwrap() });
    (location, server)
}

/// Reads a file to its end; returns the error.
async fn read(file: &'static [u8], size: usize) -> Option<String> {
    let tenant = Tenant::new(vec![], vec![]).await;
    let (location, _server) = server(file, size).await;
    let mut file = Exporter::new(&tenant.client()).open(&location).await.unwrap();
    loop {
        match file.next().await {
            Ok(Some(_)) => {}
            Ok(None) => return None,
            Err(error) => return Some(error.to_string()),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_drips_ends_within_a_minute() {
    // An empty gzip file, very often.
    let empty = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let file: &'static [u8] = Box::leak(empty.repeat(10_000).into_boxed_slice());
    let began = Instant::now();
    let error = read(file, 1).await.expect("an error");
    assert!(error.contains("less than 1024 bytes a second"), "{error}");
    assert!(began.elapsed() < Duration::from_mins(1), "{:?}", began.elapsed());
    assert_eq!(read(file, 2_048).await, None);
}
