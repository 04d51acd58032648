import MySQLWire
import Synchronization

/// Questions to the two servers, each beside the loop. Owned by one loop.
final class QuorumLooks {
    /// Raised when an answer has come.
    let answered = WakeSignal()
    private let configuration: Configuration
    private let looks: PerServer<ServerLook>
    private let answers = Answers()
    /// Whether the promotion on record was seen there at the last look: then it need not be read again.
    private var recorded: [ServerID: Bool] = [:]
    private var listsAsked: [ServerID: Deadline] = [:]

    private final class Answers: Sendable {
        private let box = Mutex<[ServerID: ServerView]>([:])
        func put(_ id: ServerID, _ view: ServerView) { box.withLock { $0[id] = view } }
        func take(_ id: ServerID) -> ServerView? { box.withLock { $0.removeValue(forKey: id) } }
    }

    init(_ configuration: Configuration) {
        self.configuration = configuration
        let probe = ServerProbe(configuration, .quorum)
        let timeout = configuration.agent.probeTimeout
        looks = [.a: ServerLook(probe, timeout: timeout), .b: ServerLook(probe, timeout: timeout)]
    }

    /// Asks a server. One question at a time to each.
    /// - Parameter seated: this agent has a lock session there.
    func begin(_ id: ServerID, _ durable: DurableState, seated: Bool) {
        guard let look = looks[id] else { return }
        let options = configuration.connectionOptions(configuration.servers[id])
        let lists = (listsAsked[id] ?? .after(.zero)).hasPassed
        if lists { listsAsked[id] = .after(.seconds(5)) }
        var about = ServerProbe.About(
            recorded: recorded[id] ?? false, member: durable.uuids[id] ?? "",
            members: Set(ServerID.allCases.compactMap { durable.uuids[$0] }), lists: lists, foreign: durable.foreign)
        if !seated { about.name = configuration.agent.name }
        let (answers, answered) = (answers, answered)
        Task { [about] in
            answers.put(id, await look.look(options, about))
            answered.raise()
        }
    }

    /// What a server has said since.
    func take(_ id: ServerID) -> ServerView? {
        guard let view = answers.take(id) else { return nil }
        if let quorum = view.facts?.quorum { recorded[id] = quorum.recorded }
        return view
    }

    func close() async {
        for id in ServerID.allCases { await looks[id]?.close() }
    }
}
