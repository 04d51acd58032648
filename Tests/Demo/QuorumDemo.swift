import TestBed

/// Quorum mode: the primary is killed, handed over and frozen, with a writer on each host; each time the other server
/// takes over and the former primary comes back as its replica. No acknowledged row may be missing.
struct QuorumDemo {
    let cluster: HostCluster
    let timeline: Timeline
    let watcher: Watcher

    private struct Change: Sendable {
        let title: String
        /// In the verdict.
        let name: String
        let fault: Fault
        /// Decides how long a server stays away after the other one has taken over: with these 2 to 3 s.
        let seed: UInt64
        /// What is done, and to which server, as a line of the timeline.
        let deed: @Sendable (String) -> String
        let figure: String
        let time: @Sendable (Outage.OfHost) -> Duration
    }

    private func changes() throws -> [Change] {
        [
            Change(
                title: "The primary dies", name: "kill -9", fault: try .named("S01"), seed: 4,
                deed: { "kill -9 of server \($0), with three writers at work" },
                figure: "from the kill until each host writes again", time: \.toFirstOnOther),
            Change(
                title: "A planned change of the primary", name: "switchover", fault: try .named("S71"), seed: 1,
                deed: { "repl-watchdog switchover, away from server \($0)" },
                figure: "from each host's last row before it to the first after it", time: \.gap),
            Change(
                title: "The primary freezes: it holds its connections and answers nothing",
                name: "SIGSTOP, then SIGCONT", fault: try .named("S06"), seed: 11,
                deed: { "SIGSTOP of server \($0); SIGCONT a while after the other one has taken over" },
                figure: "from each host's last row before it to the first after it", time: \.gap),
        ]
    }

    /// - Returns: whether all of it held.
    func run() async throws -> Bool {
        timeline.title("Three application hosts, each with its mysqlrouter, its agent and a writer")
        try cluster.startAgents()
        let trial = try await Trial(cluster, perSecond: 75, sessionsPerHost: 1)
        try await watcher.everyAgentSees(["ok"])
        var done: [(change: Change, round: Trial.Round)] = []
        for change in try changes() {
            timeline.title(change.title)
            let round = try await trial.round(change.fault, seed: change.seed) { [timeline] primary in
                timeline.say("demo", change.deed(primary.name))
            }
            timeline.say(
                "demo", "\(round.after) is primary, \(round.before) replicates from it")
            timeline.say("demo", "\(change.figure): \(cluster.eachHost(round.outage, change.time))")
            done.append((change, round))
        }
        timeline.title("Writers stop; what is there, and what is not")
        let verdict = try await trial.finish()
        for dump in try cluster.savedDumps() { timeline.line("  saved: \(dump.path)") }
        for line in trial.writers.log.lines(cluster, host: trial.writers.host(of:)) { timeline.line(line) }
        timeline.line("")
        return judge(done, verdict)
    }

    private func judge(_ done: [(change: Change, round: Trial.Round)], _ verdict: Verdict) -> Bool {
        let own = verdict.holdings.first
        var holds = done.map { change, round in
            timeline.check(
                "\(change.name): every host writes again, after \(cluster.eachHost(round.outage, change.time)); "
                    + "whole after \(seconds(round.whole))",
                round.wasFailover && round.outage.byHost.count == cluster.backends.count
                    && round.verdict.violations.isEmpty)
        }
        holds += [
            timeline.check(
                "every acknowledged row is on both servers (\(verdict.acknowledged) rows, lost: \(verdict.lost.count))",
                verdict.lost.isEmpty && verdict.savedOnly == 0 && verdict.acknowledged > 0),
            timeline.check(
                "gtid_executed and CHECKSUM TABLE are the same on both servers",
                verdict.holdings.count == 2
                    && verdict.holdings.allSatisfy { $0.executed == own?.executed && $0.checksum == own?.checksum }),
            timeline.check(
                "rows were acknowledged by one server at a time, in the order of the promotions"
                    + verdict.violations.map { "\n       \($0)" }.joined(),
                verdict.violations.isEmpty),
        ]
        return holds.allSatisfy { $0 }
    }
}
