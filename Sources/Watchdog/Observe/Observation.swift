import MySQLWire

/// What one look at the cluster saw: both servers and where the local router leads.
package struct Observation: Sendable {
    package var a: ServerView
    package var b: ServerView
    package var router: RouterView
    /// What the router's file lists, first to last; nil where it could not be read.
    package var destinations: [ServerAddress]?

    package init(a: ServerView, b: ServerView, router: RouterView, destinations: [ServerAddress]? = nil) {
        self.a = a
        self.b = b
        self.router = router
        self.destinations = destinations
    }

    package subscript(_ id: ServerID) -> ServerView {
        get { id == .a ? a : b }
        set { if id == .a { a = newValue } else { b = newValue } }
    }

    package func facts(_ id: ServerID) -> ServerFacts? { self[id].facts }

    /// Which of the two servers has this server_uuid.
    package func server(uuid: String) -> ServerID? {
        ServerID.allCases.first { facts($0)?.uuid == uuid }
    }

    /// The one server that does not answer while the other one does.
    package var silent: ServerID? { ServerID.allCases.first { facts($0) == nil && facts($0.other) != nil } }

    /// The server that the local router leads to, if it is one of the two.
    package var routed: ServerID? {
        if case .leadsTo(let uuid) = router { server(uuid: uuid) } else { nil }
    }
}

/// The answer of one server, classed by what it proves.
package enum ServerView: Sendable {
    indirect case up(ServerFacts)
    /// Answers, but turns us away (too many connections, host blocked ...): alive.
    case refusing(String)
    /// Took the connection and did not answer the questions in time.
    case stalled(String)
    /// Connection refused, or a unix socket that is gone: nobody listens.
    case downHard(String)
    /// No answer before the deadline, or no way there.
    case downSoft(String)
    /// Our own fault: name resolution, credentials, certificates. Proves nothing about the server.
    case ownFault(String)

    package var facts: ServerFacts? { if case .up(let facts) = self { facts } else { nil } }

    package var reason: String {
        switch self {
        case .up: "up"
        case .refusing(let why): "alive, but refuses us: \(why)"
        case .stalled(let why): "takes connections, but does not answer: \(why)"
        case .downHard(let why): "down: \(why)"
        case .downSoft(let why): "does not answer: \(why)"
        case .ownFault(let why): "cannot be asked (a fault of this agent): \(why)"
        }
    }
}

package enum RouterView: Sendable, Hashable {
    /// server_uuid of the server that answered through the router's port.
    case leadsTo(uuid: String)
    case noAnswer(String)
}
