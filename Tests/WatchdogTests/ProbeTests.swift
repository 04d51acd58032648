import Foundation
import MySQLWire
import Testing

@testable import Watchdog

@Suite("Probes in numbers and words")
struct ProbeTests {
    static let address = ServerAddress.tcp(host: "db-a", port: 3306)
    static let peer = ProbePeer(version: "9.7.0", tls: "TLSv1.3", authentication: "caching_sha2_password, fast")

    static func failure(
        _ code: MySQLError.Code, _ phase: MySQLError.Phase, number: UInt16? = nil
    ) -> ProbeOutcome {
        .failed(
            MySQLError(
                code, phase: phase, server: "\(address)", purpose: "connect", message: "why",
                serverError: number.map { ServerError(number: $0, sqlState: "28000", message: "no") }))
    }

    static func answer(_ microseconds: Int64) -> ProbeOutcome {
        let all = Duration.microseconds(microseconds)
        return .answered(
            ProbeTimes(connect: all / 8, tls: all / 2, authentication: all / 8, query: all / 4, total: all), peer)
    }

    static func statistics(_ outcomes: [ProbeOutcome]) -> ProbeStatistics {
        var statistics = ProbeStatistics(address, longest: .seconds(2))
        for outcome in outcomes { statistics.add(outcome) }
        return statistics
    }

    @Test("percentiles are those of the sorted values, to 0.1 % or 1 %", arguments: [0.001, 0.01])
    func percentiles(_ error: Double) throws {
        var latencies = Latencies(longest: .seconds(2), precision: error < 0.005 ? .fine : .coarse)
        // A permutation of 1 to 1000, in microseconds.
        for step in 0..<1000 { latencies.add(.microseconds(step * 7 % 1000 + 1)) }
        #expect(latencies.count == 1000)
        #expect(latencies.min == 1000 && latencies.max == 1_000_000)
        for (percent, expected) in [(50.0, 500_000.0), (90, 900_000), (99, 990_000), (100, 1_000_000)] {
            let found = Double(try #require(latencies.percentile(percent)))
            #expect(abs(found - expected) <= expected * error, "p\(percent) is \(found)")
        }
    }

    @Test("no time is too short, too long or too wrong to be taken")
    func extremes() {
        var latencies = Latencies(longest: .seconds(1))
        #expect(latencies.min == nil && latencies.percentile(50) == nil)
        for time in [Duration.zero, .seconds(-5), .nanoseconds(1), .seconds(90_000), .seconds(Int64.max)] {
            latencies.add(time)
        }
        #expect(latencies.count == 5 && latencies.min == 0 && latencies.max == .max)
        #expect(latencies.percentile(0).map { $0 <= 64 } == true)
    }

    @Test("errors are counted by class, the most frequent first, with the latest in full")
    func errors() {
        let statistics = Self.statistics([
            Self.answer(400), Self.failure(.timeout, .greeting), Self.failure(.server, .authentication, number: 1045),
            Self.failure(.timeout, .greeting), Self.failure(.timeout, .connect),
        ])
        #expect(statistics.sent == 5 && statistics.answered == 1 && statistics.lost == 4)
        #expect(statistics.errors.map(\.name) == ["timeout (greeting)", "ERROR 1045", "timeout (connect)"])
        #expect(statistics.errors.map(\.count) == [2, 1, 1])
        #expect(statistics.errors[0].message.contains("db-a:3306"))
    }

    @Test("a server that makes up error numbers does not fill the memory")
    func manyErrors() {
        let statistics = Self.statistics((2000..<3000).map { Self.failure(.server, .reply, number: $0) })
        #expect(statistics.errors.count == ProbeStatistics.classLimit)
        #expect(statistics.errors.reduce(0) { $0 + $1.count } == 1000)
        #expect(statistics.errors.first?.name == "other")
    }

    @Test("0 every host answered, 2 one never did, 3 only own faults")
    func exitStatus() {
        let good = Self.statistics([Self.failure(.timeout, .connect), Self.answer(400)])
        let dead = Self.statistics([Self.failure(.refused, .connect)])
        let denied = Self.statistics([Self.failure(.server, .authentication, number: 1045)])
        let both = Self.statistics([Self.failure(.resolve, .resolve), Self.failure(.timeout, .connect)])
        #expect([good, dead, denied, both].map(\.exitStatus) == [0, 2, 3, 2])
        #expect(ProbeStatistics.exitStatus([good, good]) == 0)
        #expect(ProbeStatistics.exitStatus([good, denied]) == 3)
        #expect(ProbeStatistics.exitStatus([denied, dead, good]) == 2)
        // Nothing was tried.
        #expect(Self.statistics([]).exitStatus == 3)
    }

    @Test("the summary of a host")
    func summary() {
        let statistics = Self.statistics([Self.answer(400), Self.answer(1600), Self.failure(.timeout, .greeting)])
        let lines = ProbeText.summary(statistics).split(separator: "\n").map(String.init)
        #expect(lines[0] == "--- db-a:3306  9.7.0, TLSv1.3, caching_sha2_password, fast ---")
        #expect(lines[1] == "3 sent, 2 answered, 33.3 % loss")
        #expect(lines[2] == "ms              min        p50        p90        p99        max")
        #expect(lines[3] == "total         0.400      0.400      1.600      1.600      1.600")
        #expect(lines[4...7].map { $0.prefix(8) } == ["connect ", "tls     ", "auth    ", "query   "])
        #expect(lines[5] == "tls           0.200      0.200      0.800      0.800      0.800")
        #expect(lines[8] == "1 x timeout (greeting): db-a:3306 (connect): timeout during greeting: why")
        #expect(lines.count == 9)
    }

    @Test("what was never measured is not shown, and a loss is never rounded away")
    func summaryOfTheDead() {
        let dead = ProbeText.summary(Self.statistics([Self.failure(.refused, .connect)]))
        #expect(dead.split(separator: "\n").count == 3 && dead.contains("1 sent, 0 answered, 100 % loss"))
        var many = Self.statistics([Self.failure(.timeout, .connect)])
        for _ in 0..<9999 { many.add(Self.answer(400)) }
        #expect(ProbeText.summary(many).contains(" 0.1 % loss"))
        var few = Self.statistics([Self.answer(400)])
        for _ in 0..<9999 { few.add(Self.failure(.timeout, .connect)) }
        #expect(ProbeText.summary(few).contains(" 99.9 % loss"))
    }

    @Test("every answer is in one bar of the histogram, an outlier seen too")
    func histogram() {
        var latencies = Latencies(longest: .seconds(2))
        for microseconds in 300..<500 { latencies.add(.microseconds(microseconds)) }
        latencies.add(.milliseconds(900))
        let lines = ProbeText.histogram(latencies, width: 80, character: "#", rows: 12)
        #expect(lines.count == 12)
        #expect(lines.allSatisfy { $0.count <= 80 })
        let counts = lines.compactMap { Int($0.split(separator: " ").last ?? "") }
        #expect(counts.count == 12 && counts.reduce(0, +) == 201)
        #expect(lines.last?.hasSuffix("|# 1") == true)
        #expect(lines.first?.hasPrefix("     0.300 ..") == true)
    }

    @Test("the JSON document can be read and holds what was measured")
    func json() throws {
        let text = ProbeText.json(
            [
                Self.statistics([Self.answer(400), Self.failure(.timeout, .greeting)]),
                Self.statistics([Self.failure(.refused, .connect)]),
            ], interrupted: true)
        let document = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        #expect(document["interrupted"] as? Bool == true)
        let hosts = try #require(document["hosts"] as? [[String: Any]])
        #expect(hosts.count == 2)
        #expect(hosts[0]["host"] as? String == "db-a:3306" && hosts[0]["tls"] as? String == "TLSv1.3")
        #expect(hosts[0]["sent"] as? Int == 2 && hosts[0]["answered"] as? Int == 1 && hosts[0]["lost"] as? Int == 1)
        let times = try #require(hosts[0]["nanoseconds"] as? [String: [String: Int]])
        #expect(Set(times.keys) == ["total", "connect", "tls", "auth", "query"])
        #expect(times["total"] == ["min": 400_000, "p50": 400_000, "p90": 400_000, "p99": 400_000, "max": 400_000])
        let errors = try #require(hosts[0]["errors"] as? [[String: Any]])
        #expect(errors[0]["class"] as? String == "timeout (greeting)" && errors[0]["count"] as? Int == 1)
        #expect((hosts[1]["nanoseconds"] as? [String: Any])?.isEmpty == true && hosts[1]["version"] is NSNull)
    }
}
