import Foundation
import TestBed

/// The life cycle in router-led mode: the primary is killed and comes back, replication is broken; the agents put things
/// in order; at the end every row that a writer was told is there must be there, or saved and listed.
struct RouterLedDemo {
    let cluster: HostCluster
    let timeline: Timeline
    let watcher: Watcher

    private var a: MySQLServer { cluster.a }
    private var b: MySQLServer { cluster.b }
    /// What the row on the replica alone says, and the one through the router with the same key.
    private let ownItem = "only on the replica"
    private let routedItem = "through the router"

    /// - Returns: whether all of it held.
    func run() async throws -> Bool {
        timeline.title("Three application hosts, each with its mysqlrouter, its agent and a writer")
        try cluster.startAgents()
        let trial = try await Trial(cluster, perSecond: 75, sessionsPerHost: 1)
        try await watcher.everyAgentSees(["ok"])
        let before = (a: try await a.gtidExecuted(), b: try await b.gtidExecuted())
        try await failOver(trial)
        // The last signals may be known from the agents' logs alone.
        let signals = [
            "SCAN web", "MAST web", "FOLO web", "OPER fail", "TARG \(b.hostAndPort)", "MAOK web", "FOOK web",
        ]
        try? await eventually("all signals were seen", within: .seconds(3)) {
            signals.allSatisfy { watcher.saw($0, on: b) }
        }
        let missing = signals.filter { !watcher.saw($0, on: b) }
        try await recover(trial)

        timeline.title("Writers stop; what is there, and what is not")
        let verdict = try await trial.finish()
        try report(trial, verdict, before)
        return try await judge(verdict, missing)
    }

    private func failOver(_ trial: Trial) async throws {
        timeline.title("The primary dies")
        timeline.say("demo", "kill -9 of server a, with three writers at work")
        let killed = ContinuousClock.now
        await a.kill()
        try await eventually("the writers of all hosts get on with b") {
            let rows = trial.writers.log.acknowledged(since: killed).filter { $0.server == b.savedUUID }
            let byHost = Dictionary(grouping: rows) { trial.writers.host(of: $0.row.writer) }
            return byHost.count == cluster.backends.count && byHost.values.allSatisfy { $0.count >= 25 }
        }
        let outage = Outage(trial.writers.log, fault: killed, end: .now, host: trial.writers.host(of:))
        timeline.say(
            "demo", "from the kill until each host writes again: \(cluster.eachHost(outage, \.toFirstOnOther))")
        try await watcher.everyAgentSees(["down", "failover"])
        timeline.say("demo", "server a is started again, as by its init system")
        try await a.start()
        try await settled(trial)
        timeline.say("demo", "b is primary, a replicates from it")
    }

    private func recover(_ trial: Trial) async throws {
        timeline.title("Replication breaks: a row that somebody wrote on the replica alone is in the way")
        func insert(_ item: String) -> String {
            "INSERT INTO shop.written (writer, n, item) VALUES (0, 1, '\(item)')"
        }
        try await a.sql("SET SESSION sql_log_bin = 0; \(insert(ownItem))")
        try await cluster.backends[0].router.sql(insert(routedItem))
        timeline.say("demo", "the same key written on the replica, and then through a router")
        try await eventually("an operation begins", within: .seconds(60)) { watcher.saw("OPER repl", on: b) }
        try await settled(trial)
        timeline.say("demo", "replication runs again")
    }

    /// No operation is under way, and a replicates from b.
    private func settled(_ trial: Trial) async throws {
        let primary = try await cluster.settled(trial.writers, hold: .seconds(1))
        guard primary.name == b.name else { throw TestBedError("\(primary.name) is the primary, not b") }
    }

    private func report(_ trial: Trial, _ verdict: Verdict, _ before: (a: String, b: String)) throws {
        for dump in try cluster.savedDumps() { timeline.line("  saved: \(dump.path)") }
        for line in trial.writers.log.lines(cluster, host: trial.writers.host(of:)) { timeline.line(line) }
        for row in verdict.savedOnlyRows { timeline.line("    row \(row) is on neither server; a saved dump has it") }
        for row in verdict.lost { timeline.line("    row \(row) is on neither server, and in no saved dump") }
        timeline.line(
            """

              gtid_executed      a   \(before.a)
              before (running)   b   \(before.b)
            """)
        for (index, holding) in verdict.holdings.sorted(by: { $0.server < $1.server }).enumerated() {
            timeline.line(
                "  \(index == 0 ? "gtid_executed   " : "after           ")   "
                    + "\(holding.server)   \(holding.executed)   checksum \(holding.checksum)")
        }
        timeline.line("")
    }

    private func judge(_ verdict: Verdict, _ missing: [String]) async throws -> Bool {
        let dumps = try cluster.savedDumps()
        let same = verdict.holdings.count == 2
        let leads = try cluster.backends.allSatisfy { backend in
            // The first line of the kind is that of the application's section.
            let file = try String(contentsOfFile: backend.router.configFile, encoding: .utf8)
            return file.split(separator: "\n").first { $0.hasPrefix("destinations") }?
                .contains("= \(b.hostAndPort)") == true
        }
        let whole = try? await cluster.whole()
        let item = try await a.sql("SELECT item FROM shop.written WHERE writer = 0 AND n = 1")
        let holds = [
            timeline.check(
                "all seven signals of the failover were seen in the ledger"
                    + (missing.isEmpty ? "" : " (not seen: \(missing.joined(separator: ", ")))"), missing.isEmpty),
            timeline.check("every router leads to b, and will after its next restart", leads && whole?.name == b.name),
            timeline.check("replication runs from b to a, no ledger is left", whole?.name == b.name),
            timeline.check(
                "gtid_executed is the same on both servers: no transaction of a replica's own",
                same && verdict.holdings[0].executed == verdict.holdings[1].executed),
            timeline.check(
                "CHECKSUM TABLE is the same on both servers",
                same && verdict.holdings[0].checksum == verdict.holdings[1].checksum),
            timeline.check(
                "every acknowledged row is on both servers or in a saved dump (not on both: "
                    + "\(verdict.savedOnly + verdict.lost.count), of these nowhere saved: \(verdict.lost.count))",
                verdict.lost.isEmpty && verdict.acknowledged > 0),
            timeline.check("the replica has the primary's row of the conflict", item == [[routedItem]]),
            timeline.check(
                "the replica's own row of the conflict is in a saved dump",
                dumps.contains { $0.text.contains(ownItem) }),
            timeline.check(
                "rows were acknowledged by one server at a time, in the order of the promotions"
                    + verdict.violations.map { "\n       \($0)" }.joined(),
                verdict.violations.isEmpty),
        ]
        return holds.allSatisfy { $0 }
    }
}
