import Glibc
import MySQLWire

/// Inserts rows through a router like an application, one after the other, and keeps what it was told about each:
/// acknowledged, refused, or nothing at all.
struct Writer {
    let name: String
    let router: ServerAddress
    let pace: Duration
    let end: ContinuousClock.Instant
    let acknowledged: LineFile
    let uncertain: LineFile

    init(_ arguments: inout Arguments) throws {
        name = try arguments.text("--writer")
        router = try arguments.address("--router")
        pace = .seconds(1) / max(1, try arguments.number("--rate", default: 20))
        end = ContinuousClock.now.advanced(by: .seconds(try arguments.number("--seconds", default: 600)))
        acknowledged = try LineFile(arguments.text("--acknowledged"))
        uncertain = try LineFile(arguments.text("--uncertain"))
        guard name.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber) }) else {
            throw UsageError("--writer takes letters and digits")
        }
    }

    func run() async throws {
        var connection: MySQLConnection?
        var options = ConnectionOptions(
            address: router, user: "app", password: Secret("app-secret"), database: "shop")
        options.programName = "demo-writer"
        var sequence = 0
        var next = ContinuousClock.now
        while !mustEnd, ContinuousClock.now < end {
            if next > .now { try? await Task.sleep(until: next) }
            next = max(next.advanced(by: pace), .now)
            guard let open = connection else {
                // Nothing has been sent yet, so the same row can be tried again.
                connection = try? await MySQLConnection.connect(options, deadline: .after(.seconds(2)))
                if connection == nil { try? await Task.sleep(for: .milliseconds(50)) }
                continue
            }
            sequence += 1
            do throws(MySQLError) {
                _ = try await open.query(
                    "INSERT INTO orders (writer, seq, item) VALUES ('\(name)', \(sequence), 'item \(sequence) of \(name)')",
                    purpose: "insert an order", deadline: .after(.seconds(3)))
                try? acknowledged.append("\(sequence) \(wallClockMilliseconds())")
            } catch {
                // An ERR packet says that the row was not written, unless the server broke the statement off.
                let brokenOff: Set<UInt16> = [1053, 1317, 3024, 3100]
                let refused = error.code == .server && !brokenOff.contains(error.number ?? 0)
                if !refused { try? uncertain.append("\(sequence)") }
                if !open.isOpen || !refused {
                    open.abort()
                    connection = nil
                }
            }
        }
        await connection?.close()
    }
}

func wallClockMilliseconds() -> Int {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return now.tv_sec * 1000 + now.tv_nsec / 1_000_000
}

/// A file that grows by one line with one write, so that a killed writer leaves no half of a line.
struct LineFile {
    private let descriptor: Int32

    init(_ path: String) throws {
        descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw UsageError("\(path) cannot be opened (errno \(errno))") }
    }

    func append(_ line: String) throws {
        let bytes = Array((line + "\n").utf8)
        guard write(descriptor, bytes, bytes.count) == bytes.count else {
            throw UsageError("a line could not be written (errno \(errno))")
        }
    }
}
