import MySQLWire
import Synchronization

/// One server, look by look. Each look opens a session of its own, so that it sees what a new client would see; the one
/// before stays open until the next has answered. Where a new session gets no further (nobody is greeted while an
/// account statement waits for its replica, the server is full, the account's password has been changed), the older one
/// is asked instead: what it says is as true, and it says so at once.
actor ServerLook {
    private let probe: ServerProbe
    private let timeout: Duration
    /// The session of the last look whose own session was greeted.
    private var older: MySQLConnection?
    /// What it said.
    private var known: ServerProbe.Known?
    private var attempt: Attempt?
    private var trouble: LoginTrouble?
    private var pause = Duration.zero
    private var next = Deadline.after(.zero)

    /// How long a new session is waited for before the older one is asked.
    private static let patience = Duration.milliseconds(700)
    /// The same where the session before was not let in.
    private static let glance = Duration.milliseconds(100)
    /// Each session that is not greeted leaves a thread on the server that waits with all others.
    private static let longestPause = Duration.seconds(10)

    init(_ probe: ServerProbe, timeout: Duration) {
        self.probe = probe
        self.timeout = timeout
    }

    /// Bounded by the timeout, all in all: whoever asks holds a lease that is little longer. One at a time.
    func look(_ options: ConnectionOptions, _ about: ServerProbe.About = .init()) async -> ServerView {
        let end = Deadline.after(timeout)
        // What an attempt of an earlier look has come to says whether new sessions are greeted again; its answer is old.
        if let answer = attempt?.answer { note(answer) }
        if attempt == nil, older == nil || next.hasPassed {
            attempt = Attempt(probe, options, about, deadline: end)
        }
        if let attempt {
            if older == nil {
                await attempt.wait(end.remaining + .milliseconds(200))
            } else {
                await attempt.wait(trouble == nil ? Self.patience : Self.glance)
            }
            if let answer = attempt.answer {
                note(answer)
                if case .up = answer.view { return answer.view }
                if trouble == nil || older == nil { return answer.view }
            }
        }
        guard let older, let known else { return .downSoft("no answer") }
        do {
            var facts = try await probe.facts(older, about, known: known, deadline: end)
            facts.quorum?.login = trouble
            return .up(facts)
        } catch {
            older.abort()
            self.older = nil
            guard let attempt else { return ServerProbe.classify(error) }
            await attempt.wait(end.remaining)
            guard let answer = attempt.answer else { return ServerProbe.classify(error) }
            note(answer)
            return answer.view
        }
    }

    func close() {
        older?.abort()
        older = nil
        attempt?.cancel()
        attempt = nil
    }

    private func note(_ answer: Attempt.Answer) {
        attempt = nil
        trouble = answer.trouble
        if let connection = answer.connection, let facts = answer.view.facts {
            known = ServerProbe.Known(facts)
            older?.abort()
            older = connection
            pause = .zero
        } else if trouble == nil {
            // Refused or cut off: an older session to such a server is no better.
            older?.abort()
            older = nil
        } else if case .notGreeted? = trouble {
            pause = min(max(pause * 2, .seconds(1)), Self.longestPause)
        }
        next = .after(pause)
    }

    /// A session of its own and what it is told, beside the looks.
    private final class Attempt: Sendable {
        struct Answer: Sendable {
            var view: ServerView
            /// The session, where it was greeted and has answered.
            var connection: MySQLConnection?
            var trouble: LoginTrouble?
        }

        private let box = Mutex<Answer?>(nil)
        private let wake = WakeSignal()
        private let task = Mutex<Task<Void, Never>?>(nil)

        init(
            _ probe: ServerProbe, _ options: ConnectionOptions, _ about: ServerProbe.About, deadline: Deadline
        ) {
            let work = Task {
                let answer = await Self.ask(probe, options, about, deadline)
                box.withLock { $0 = answer }
                wake.raise()
            }
            task.withLock { $0 = work }
        }

        var answer: Answer? { box.withLock { $0 } }

        /// Waits for the answer, at most so long.
        func wait(_ limit: Duration) async {
            guard answer == nil else { return }
            await wake.wait(limit)
        }

        /// The session is closed, now or when it comes.
        func cancel() {
            answer?.connection?.abort()
            task.withLock { $0?.cancel() }
        }

        private static func ask(
            _ probe: ServerProbe, _ options: ConnectionOptions, _ about: ServerProbe.About, _ deadline: Deadline
        ) async -> Answer {
            let connection: MySQLConnection
            do {
                connection = try await MySQLConnection.connect(options, deadline: deadline)
            } catch {
                return Answer(view: ServerProbe.classify(error), trouble: LoginTrouble(error))
            }
            do {
                let facts = try await probe.facts(connection, about, deadline: deadline)
                return Answer(view: .up(facts), connection: connection)
            } catch {
                connection.abort()
                return Answer(view: ServerProbe.classify(error))
            }
        }
    }
}

/// How a server that answers an agent's older session treats a new one.
package enum LoginTrouble: Sendable, Hashable {
    /// It does not greet, or does not come to the end of the login.
    case notGreeted(String)
    /// It turns clients away: too many connections, a start or an end under way.
    case turnedAway(String)
    /// A fault of this agent: its password, its certificates, its name servers.
    case ownFault(String)

    /// Nil for what says that the server may be gone: refused, cut off, no way there.
    init?(_ error: MySQLError) {
        switch ServerProbe.classify(error) {
        case .refusing(let why): self = .turnedAway(why)
        case .ownFault(let why): self = .ownFault(why)
        case .stalled(let why): self = .notGreeted(why)
        case .downSoft(let why):
            guard error.code == .timeout else { return nil }
            self = .notGreeted(why)
        case .downHard, .up: return nil
        }
    }

    /// Its case: what is said of it may change from look to look.
    var kind: Int {
        switch self {
        case .notGreeted: 0
        case .turnedAway: 1
        case .ownFault: 2
        }
    }

    var text: String {
        switch self {
        case .notGreeted(let why): "new connections are not greeted: \(why)"
        case .turnedAway(let why): "new connections are turned away: \(why)"
        case .ownFault(let why): "this agent cannot log in again: \(why)"
        }
    }
}
