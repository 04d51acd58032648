import Benchmark
import MySQLWire

private let server = CannedServer()
private let options: ConnectionOptions = {
    var options = ConnectionOptions(
        address: .tcp(host: "127.0.0.1", port: server.port), user: "app", password: Secret("secret"))
    options.tls = .disabled
    return options
}()
private var soon: Deadline { .after(.seconds(30)) }

let benchmarks: @Sendable () -> Void = {
    Benchmark.defaultConfiguration = .init(
        metrics: [.wallClock, .cpuTotal, .syscalls, .contextSwitches, .throughput], maxDuration: .seconds(3))

    Benchmark("connect, authenticate, close") { benchmark in
        for _ in benchmark.scaledIterations {
            let connection = try await MySQLConnection.connect(options, deadline: soon)
            await connection.close()
        }
    }

    Benchmark("one query") { benchmark in
        let connection = try await MySQLConnection.connect(options, deadline: soon)
        benchmark.startMeasurement()
        for _ in benchmark.scaledIterations {
            blackHole(try await connection.query("SELECT 1", deadline: soon))
        }
        benchmark.stopMeasurement()
        await connection.close()
    }

    Benchmark("100,000 rows streamed") { benchmark in
        let connection = try await MySQLConnection.connect(options, deadline: soon)
        benchmark.startMeasurement()
        let stream = try await connection.stream("rows", deadline: soon)
        var bytes = 0
        while let batch = try await stream.next(deadline: soon) {
            for row in 0..<batch.rowCount { bytes += batch.range(row: row, column: 2)?.count ?? 0 }
        }
        benchmark.stopMeasurement()
        guard bytes == 120 * CannedServer.rows else { fatalError("\(bytes) bytes came") }
        await connection.close()
    }

    Benchmark("100,000 rows with typed values") { benchmark in
        let connection = try await MySQLConnection.connect(options, deadline: soon)
        benchmark.startMeasurement()
        let stream = try await connection.stream("rows", deadline: soon)
        var sum = 0
        while let batch = try await stream.next(deadline: soon) {
            for row in 0..<batch.rowCount { sum += try batch.value(row: row, column: 0, as: Int.self) }
        }
        benchmark.stopMeasurement()
        guard sum == CannedServer.rows * (CannedServer.rows - 1) / 2 else { fatalError("the sum is \(sum)") }
        await connection.close()
    }

    Benchmark("a literal of 1,000 characters") { benchmark in
        let text = String(repeating: "it's 100 % \\ \"x\"\n", count: 60)
        for _ in benchmark.scaledIterations { blackHole(SQLText.literal(text)) }
    }
}
