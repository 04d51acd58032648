/// Why a step inside the driver failed, before the server's name and the call's purpose are added to it.
struct Failure: Error, Sendable {
    var code: MySQLError.Code
    var message: String
    var serverError: ServerError?
    var errno: Int32?
    /// Whether the connection stands at a command boundary all the same, so that it may be used again. True only for
    /// an ERR packet in its place and for calls that were refused before a byte was written.
    var keepsConnection = false

    init(_ code: MySQLError.Code, _ message: String, errno: Int32? = nil) {
        self.code = code
        self.message = message
        self.errno = errno
    }

    /// The failure that an ERR packet stands for.
    init(_ error: ServerError, keepsConnection: Bool) {
        code = .server
        message = error.description
        serverError = error
        self.keepsConnection = keepsConnection
    }

    static let timeout = Failure(.timeout, "the deadline passed")
    static let cancelled = Failure(.cancelled, "the task was cancelled")
    static let busy: Failure = {
        var failure = Failure(.busy, "another call is under way on this connection")
        failure.keepsConnection = true
        return failure
    }()
    static let closedHere = Failure(.closed, "the connection was closed")
    static let closedByServer = Failure(.closed, "the server closed the connection")

    static func violation(_ what: String) -> Failure { Failure(.protocolViolation, what) }

    func error(phase: MySQLError.Phase, server: String, purpose: String) -> MySQLError {
        MySQLError(
            code, phase: phase, server: server, purpose: purpose, message: message, serverError: serverError,
            errno: errno)
    }

    /// The same failure for a call that had not touched the connection yet.
    func keepingConnection() -> Failure {
        var copy = self
        copy.keepsConnection = true
        return copy
    }
}
