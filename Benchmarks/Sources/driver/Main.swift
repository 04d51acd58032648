import Glibc
import MySQLWire

/// The driver's side of `Benchmarks/run`: one case, one line of figures. The peers take the same arguments and print
/// the same line.
///
///     driver CASE PORT COUNT      CASE: cold, cold-tls, warm, rows
/// The server is on loopback, or at $DRIVER_HOST.
///
///     driver swarm PORT SILENT    1,000 probes at once, 50 of them on a port that says nothing, 1 s timeout
///
/// Prints the median in microseconds for the first three; for `rows` the CPU time and the wall time in milliseconds,
/// the number of rows and the sum of the lengths of their values; for `swarm` the wall time in milliseconds, the
/// greatest resident size in KiB, and how many were answered, timed out, and failed otherwise.
@main struct Main {
    static func main() async throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 4, let port = UInt16(arguments[2]), let count = Int(arguments[3]), count > 0 else {
            exit(64)
        }
        let host = getenv("DRIVER_HOST").map { String(cString: $0) } ?? "127.0.0.1"
        var options = ConnectionOptions(
            address: .tcp(host: host, port: port), user: "watchdog", password: Secret("watchdog-secret"))
        options.tls = arguments[1] == "cold-tls" ? .required : .disabled
        // Not on the main actor: a library's user works on the pool's threads.
        try await Task.detached { [options] in
            switch arguments[1] {
            case "cold", "cold-tls": try await cold(options, count)
            case "warm": try await warm(options, count)
            case "rows": try await rows(options, count)
            case "swarm": try await swarm(options, silent: UInt16(count))
            default: exit(64)
            }
        }.value
    }

    private static func cold(_ options: ConnectionOptions, _ count: Int) async throws {
        try await median(count) {
            let connection = try await MySQLConnection.connect(options, deadline: .after(.seconds(5)))
            _ = try await connection.query("SELECT 1", deadline: .after(.seconds(5)))
            await connection.close()
        }
    }

    private static func warm(_ options: ConnectionOptions, _ count: Int) async throws {
        let connection = try await MySQLConnection.connect(options, deadline: .after(.seconds(5)))
        try await median(count) { _ = try await connection.query("SELECT 1", deadline: .after(.seconds(5))) }
        await connection.close()
    }

    private static func rows(_ options: ConnectionOptions, _ count: Int) async throws {
        let connection = try await MySQLConnection.connect(options, deadline: .after(.seconds(5)))
        let deadline = Deadline.after(.seconds(60))
        let began = ContinuousClock.now
        let cpu = cpuMilliseconds()
        let stream = try await connection.stream("SELECT * FROM bench.t LIMIT \(count)", deadline: deadline)
        var rows = 0
        var bytes = 0
        while let batch = try await stream.next(deadline: deadline) {
            rows += batch.rowCount
            for row in 0..<batch.rowCount {
                for column in 0..<batch.columnCount { bytes += batch.range(row: row, column: column)?.count ?? 0 }
            }
        }
        print(cpuMilliseconds() - cpu, began.duration(to: .now) / .milliseconds(1), rows, bytes)
        await connection.close()
    }

    private static func swarm(_ options: ConnectionOptions, silent: UInt16) async throws {
        let began = ContinuousClock.now
        let ends = await withTaskGroup(of: String.self, returning: [String: Int].self) { group in
            for number in 0..<1000 {
                var options = options
                if number % 20 == 0 { options.address = .tcp(host: "127.0.0.1", port: silent) }
                let chosen = options
                group.addTask { await probe(chosen, .after(.seconds(1))) }
            }
            return await group.reduce(into: [:]) { $0[$1, default: 0] += 1 }
        }
        let wall = began.duration(to: .now) / .milliseconds(1)
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        let answered = ends["answered"] ?? 0
        let timedOut = ends["timeout"] ?? 0
        print(wall, usage.ru_maxrss, answered, timedOut, 1000 - answered - timedOut)
    }

    private static func probe(_ options: ConnectionOptions, _ deadline: Deadline) async -> String {
        do {
            let connection = try await MySQLConnection.connect(options, deadline: deadline)
            _ = try await connection.query("SELECT 1", deadline: deadline)
            await connection.close()
            return "answered"
        } catch {
            return error.code.description
        }
    }

    /// The median of `count` runs after a tenth as many that do not count.
    private static func median(_ count: Int, _ body: () async throws -> Void) async throws {
        for _ in 0..<(count / 10 + 1) { try await body() }
        var times: [Duration] = []
        for _ in 0..<count {
            let began = ContinuousClock.now
            try await body()
            times.append(began.duration(to: .now))
        }
        print(times.sorted()[count / 2] / .microseconds(1))
    }

    private static func cpuMilliseconds() -> Double {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        let seconds = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec
        let microseconds = usage.ru_utime.tv_usec + usage.ru_stime.tv_usec
        return Double(seconds) * 1000 + Double(microseconds) / 1000
    }
}
