import ArgumentParser
import Glibc
import MySQLWire
import Watchdog

struct ExplainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Which conditions of an automatic failover hold at this moment, who voted, what is missing.")

    @OptionGroup var common: CommonOptions

    func run() async throws {
        signal(SIGPIPE, SIG_IGN)
        let agent = Agent(configuration: try common.quorumConfiguration(), logger: try common.logger())
        let (status, conditions) = await agent.explain()
        try Output.line(status.text())
        for detail in status.details { try Output.line(PrintableText.line(detail)) }
        try Output.line("a failover, condition by condition:")
        for condition in conditions {
            try Output.line(
                PrintableText.line(
                    "  \(condition.holds ? "yes" : "no ")  \(condition.code.rawValue): \(condition.text)"))
        }
        throw ExitCode(status.exitStatus)
    }
}

/// Runs something that an operator asks for, prints how it went and ends with its status.
private func ask(_ common: CommonOptions, _ body: (Agent) async throws(AgentError) -> OperatorAnswer) async throws {
    signal(SIGPIPE, SIG_IGN)
    let agent = Agent(configuration: try common.quorumConfiguration(), logger: try common.logger())
    let answer: OperatorAnswer
    do throws(AgentError) {
        answer = try await body(agent)
    } catch {
        Output.complain("\(error)")
        throw ExitCode(error.exitStatus)
    }
    try Output.line(answer.text)
    if answer.exitStatus != ExitStatus.ok { throw ExitCode(answer.exitStatus) }
}

struct SwitchoverCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "switchover",
        abstract: "Make the replica the primary, without loss; the agents do it while this command waits.",
        discussion: """
            Then the routers have up to 20 s. The exit status is 1 where the change is done and another host's router has \
            not turned, or has no agent at work, and 2 where this host's has not: the hosts are named.
            """)

    @OptionGroup var common: CommonOptions

    @Option(help: "How long to wait for the new primary; an interrupted or expired request is withdrawn.")
    var timeout = Duration.seconds(60)

    func run() async throws {
        let timeout = timeout
        try await ask(common) { agent throws(AgentError) in try await agent.switchover(deadline: .after(timeout)) }
    }
}

struct FailoverCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "failover",
        abstract: "Let the agents replace a lost primary in spite of a pause or a block period.",
        discussion: """
            A majority of the agents must have lost the primary all the same. With --accept-loss also although \
            transactions are lost: what is known of them is listed by 'explain', and saved when the old primary returns.
            """)

    @OptionGroup var common: CommonOptions

    @Flag(help: "Also if transactions are lost; see 'explain' first.")
    var acceptLoss = false

    @Option(help: "How long to wait; an interrupted or expired request is withdrawn.")
    var timeout = Duration.seconds(60)

    func run() async throws {
        let timeout = timeout
        let acceptLoss = acceptLoss
        try await ask(common) { agent throws(AgentError) in
            OperatorAnswer(try await agent.failover(acceptLoss: acceptLoss, deadline: .after(timeout)))
        }
    }
}

struct TrustCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trust",
        abstract: "Let agents whose memory was lost go by this server, although the other one does not answer.",
        discussion: """
            An agent that finds no state file gives no vote before both servers have answered it: the one that is silent \
            may have been made the primary meanwhile. Say this only where that server is gone for good, or was surely \
            not promoted: what it alone holds is given up. Where the record of promotions on the primary is gone or older \
            than it was (repl_watchdog.history), the row that this host's agent knows of is written there again.
            """)

    @OptionGroup var common: CommonOptions

    @Argument(help: "The server that answers, a or b.")
    var server: ServerID

    func run() async throws {
        let server = server
        try await ask(common) { agent throws(AgentError) in try await agent.trust(server) }
    }
}

struct PauseCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause", abstract: "Hold automatic operations of all agents back.")

    @OptionGroup var common: CommonOptions

    @Option(name: .customLong("for"), help: "For how long; otherwise until 'resume'.")
    var duration: Duration?

    func run() async throws {
        let duration = duration
        try await ask(common) { agent throws(AgentError) in OperatorAnswer(try await agent.pause(for: duration)) }
    }
}

struct ResumeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "resume", abstract: "End a pause.")

    @OptionGroup var common: CommonOptions

    func run() async throws {
        try await ask(common) { agent throws(AgentError) in OperatorAnswer(try await agent.resume()) }
    }
}

struct AckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ack", abstract: "Acknowledge the last failover: the next automatic one may come at once.")

    @OptionGroup var common: CommonOptions

    func run() async throws {
        try await ask(common) { agent throws(AgentError) in OperatorAnswer(try await agent.acknowledge()) }
    }
}
