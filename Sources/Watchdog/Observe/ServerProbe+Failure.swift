import MySQLWire

/// What a failure proves.
extension ServerProbe {
    /// Errors by which a living server turns a client away: too many connections, host blocked, user limits,
    /// shutdown or start-up under way.
    private static let aliveErrors: Set<UInt16> = [1040, 1053, 1129, 1158, 1159, 1160, 1161, 1203, 1226, 3032, 3168]

    static func classify(_ error: MySQLError) -> ServerView {
        let why = Remedy.explain(error)
        if let server = error.serverError {
            return aliveErrors.contains(server.number) ? .refusing(why) : .ownFault(why)
        }
        switch error.code {
        case .refused: return .downHard(why)
        case .timeout where error.phase == .resolve: return .ownFault(why)
        case .timeout where [.greeting, .tls, .authentication, .command, .reply].contains(error.phase):
            return .stalled(why)
        case .timeout, .unreachable, .closed: return .downSoft(why)
        default: return .ownFault(why)
        }
    }
}
