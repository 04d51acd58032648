import MySQLWire
import Synchronization

/// An account's password while it may be changed: what the configuration or its file last said, and what it said before.
/// Copies of a configuration share it, so that a new password reaches whoever connects next.
///
/// A password that a server accepts is kept in use there. One that is refused is looked up again in its file at once, and
/// the file's is tried in its place; so it does not matter which comes first, the account's new password or the file's,
/// and two servers may change at different times. Each connection tries two at most.
package final class PasswordSource: Sendable {
    private struct State {
        var file: String?
        var newest: Secret
        var before: Secret?
        /// What was tried last, where it is not the newest.
        var places: [ServerAddress: Secret] = [:]
        /// Why the file could not be used, so that it is said once.
        var problem: String?
        var tell: (@Sendable (String, String?) -> Void)?

        mutating func learn(_ secret: Secret) {
            guard secret != newest else { return }
            before = newest
            newest = secret
            places = [:]
        }
    }

    private let state: Mutex<State>

    package init(_ secret: Secret, file: String? = nil) {
        state = Mutex(State(file: file, newest: secret))
    }

    /// What is known without reading the file again.
    package var newest: Secret { state.withLock { $0.newest } }

    /// What to log in with there.
    package func password(for address: ServerAddress) -> Secret {
        state.withLock { $0.places[address] ?? $0.newest }
    }

    /// Reads the file, if there is one.
    package func refreshed() -> Secret {
        reread()
        return newest
    }

    /// What else to log in with after a server has refused one; nil if there is nothing else.
    package func other(than refused: Secret, at address: ServerAddress) -> Secret? {
        reread()
        return state.withLock { state in
            let next = [state.newest, state.before].compactMap { $0 }.first { $0 != refused }
            if let next { state.places[address] = next == state.newest ? nil : next }
            return next
        }
    }

    /// Goes by what a configuration that was read again says.
    func adopt(_ other: PasswordSource) {
        let (file, secret) = other.state.withLock { ($0.file, $0.newest) }
        state.withLock {
            $0.file = file
            $0.problem = nil
            $0.learn(secret)
        }
    }

    /// - Parameter tell: is told what becomes of the file, and the remedy if it is of no use.
    func report(_ tell: @escaping @Sendable (String, String?) -> Void) { state.withLock { $0.tell = tell } }

    private func reread() {
        guard let file = state.withLock({ $0.file }) else { return }
        var secret: Secret?
        var problem: String?
        do throws(PasswordFile.Failure) {
            secret = try PasswordFile.read(file)
        } catch {
            problem = "\(error)"
        }
        typealias News = (file: String, problem: String?)
        let (news, tell) = state.withLock { state -> (News?, (@Sendable (String, String?) -> Void)?) in
            defer { state.problem = problem }
            // While somebody writes it a file is empty for a moment: the password in use stays.
            if let problem { return (state.problem == problem ? nil : (file, problem), state.tell) }
            guard let secret, secret != state.newest else { return (nil, state.tell) }
            state.learn(secret)
            return ((file, nil), state.tell)
        }
        if let news { tell?(news.file, news.problem) }
    }
}
