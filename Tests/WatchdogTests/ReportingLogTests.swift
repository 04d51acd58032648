import Logging
import MySQLDump
import MySQLWire
import Synchronization
import Testing

@testable import Watchdog

@Suite("The log")
struct ReportingLogTests {
    final class Lines: Sendable {
        let lines = Mutex<[String]>([])
        var all: [String] { lines.withLock { $0 } }
    }

    static func logger(_ format: EventLog.Format, level: Logger.Level = .info) -> (Logger, Lines) {
        let lines = Lines()
        let handler = EventLog(
            level: level, format: format, now: { Timestamp(milliseconds: 1_769_853_600_007) },
            write: { line in lines.lines.withLock { $0.append(line) } })
        return (Logger(label: "test") { _ in handler }, lines)
    }

    @Test("text: one line, UTC with milliseconds, keys in order, values quoted where they must be")
    func text() {
        let (logger, lines) = Self.logger(.text)
        logger.notice(
            "promoted", metadata: ["server": "10.0.0.2:3306", "because": "it is the last", "empty": "", "q": "a\"b"])
        logger.info("no metadata")
        logger.debug("not at this level")
        #expect(
            lines.all == [
                "2026-01-31T10:00:00.007Z notice   promoted because=\"it is the last\" empty=\"\" q=\"a\\\"b\" server=10.0.0.2:3306\n",
                "2026-01-31T10:00:00.007Z info     no metadata\n",
            ])
    }

    @Test("a server's text can neither forge a line nor move the cursor")
    func forged() {
        let (logger, lines) = Self.logger(.text)
        logger.error("said: x\n2026 notice  all is well\u{1B}[2J", metadata: ["why": "a\nb\u{1B}[0m"])
        #expect(lines.all.count == 1)
        let line = lines.all[0]
        #expect(line.dropLast().allSatisfy { !$0.isNewline } && !line.contains("\u{1B}"))
        #expect(line.contains("why=\"a\\nb\\u001b[0m\""))
    }

    @Test("json: an object per line")
    func json() {
        let (logger, lines) = Self.logger(.json)
        logger.warning("a \"b\"\n", metadata: ["k": "v", "time": "now"])
        #expect(
            lines.all == [
                "{\"time\":\"2026-01-31T10:00:00.007Z\",\"level\":\"warning\",\"message\":\"a \\\"b\\\"\\n\",\"k\":\"v\",\"time_\":\"now\"}\n"
            ])
    }

    @Test("a secret in the metadata does not show")
    func secret() {
        let (logger, lines) = Self.logger(.text)
        let secret = Secret("pa55")
        let options = ConnectionOptions(address: .unix(path: "/x"), user: "u", password: secret)
        logger.info("x \(secret)", metadata: ["a": "\(secret)", "b": "\(options)"])
        #expect(!lines.all[0].contains("pa55"))
    }

    @Test(
        "instants",
        arguments: [
            (Int64(0), "1970-01-01T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.999Z"),
            (951_827_696_789, "2000-02-29T12:34:56.789Z"), (4_102_444_799_999, "2099-12-31T23:59:59.999Z"),
        ])
    func instants(_ milliseconds: Int64, _ text: String) {
        #expect(Timestamp(milliseconds: milliseconds).description == text)
    }
}

@Suite("Exit statuses and the wait of cron")
struct ReportingExitStatusTests {
    static func error(_ code: MySQLError.Code, _ number: UInt16? = nil) -> MySQLError {
        MySQLError(
            code, phase: .connect, server: "a:1", message: "x",
            serverError: number.map { ServerError(number: $0, sqlState: "HY000", message: "x") })
    }

    @Test("what is our own fault is 3, what is the server's is 2")
    func faults() {
        for code in [MySQLError.Code.resolve, .configuration, .tls, .authentication, .cancelled] {
            #expect(ExitStatus.of(Self.error(code)) == 3, "\(code)")
        }
        for code in [MySQLError.Code.refused, .unreachable, .timeout, .closed, .protocolViolation, .limit] {
            #expect(ExitStatus.of(Self.error(code)) == 2, "\(code)")
        }
        for number in [1045, 1044, 1130] as [UInt16] { #expect(ExitStatus.of(Self.error(.server, number)) == 3) }
        for number in [1064, 1040, 1146] as [UInt16] { #expect(ExitStatus.of(Self.error(.server, number)) == 2) }
        #expect(ExitStatus.of(DumpError(.file(path: "/x", errno: 28), "x")) == 3)
        #expect(ExitStatus.of(DumpError(.incomplete(path: "/x"), "x")) == 2)
        #expect(ExitStatus.of(DumpError(.server(Self.error(.server, 1045)), "x")) == 3)
    }

    @Test("from 0 to 297 s, and not always the same")
    func wait() {
        var generator = SystemRandomNumberGenerator()
        let waits = (0..<2000).map { _ in CronWait.pick(using: &generator) }
        #expect(waits.allSatisfy { $0 >= .zero && $0 <= CronWait.longest })
        #expect(waits.contains { $0 < .seconds(30) } && waits.contains { $0 > .seconds(267) })
        #expect(Set(waits).count > 1000)
    }
}
