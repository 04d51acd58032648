/// What the handshake settled for the life of the session.
struct SessionIdentity: Sendable {
    var road: AuthenticationMachine.Road
    var keyRetrieval: PublicKeyRetrieval
    /// The nonce that was used last: a change of the user begins with it.
    var nonce: [UInt8]
    var plugin: String
    var characterSet: UInt8
    var attributes: [(name: String, value: String)]
}

extension MySQLConnection {
    /// COM_CHANGE_USER: authenticates anew as another user on the same connection, and gives the session that user's
    /// defaults; prepared statements, temporary tables, locks and variables are gone. After an error the connection is
    /// closed, as the server does.
    /// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_change_user.html
    /// - Returns: how the new user was authenticated.
    /// - Throws: `server` with number 1045 if the server refuses the password.
    @discardableResult
    public func changeUser(_ user: String, password: Secret, database: String? = nil, deadline: Deadline)
        async throws(MySQLError) -> HandshakeFacts.Authentication
    {
        let purpose = "change the user"
        let session = try begin(purpose)
        var phase = MySQLError.Phase.idle
        let authentication: HandshakeFacts.Authentication
        do throws(Failure) {
            guard let identity = session.identity, session.capabilities.contains(.pluginAuth) else {
                throw Failure(.configuration, "the server cannot change the user").keepingConnection()
            }
            for (name, text) in [("user", user), ("database", database ?? ""), ("password", password.reveal())]
            where text.utf8.contains(0) {
                throw Failure(.configuration, "the \(name) holds a NUL character").keepingConnection()
            }
            try session.readyForCommand(deadline)
            phase = .authentication
            var machine = try AuthenticationMachine(
                password: password.reveal(), greeting: identity.nonce, plugin: identity.plugin, road: identity.road,
                keyRetrieval: identity.keyRetrieval)
            let request = ChangeUserRequest(
                user: user, authentication: try machine.begin(), database: database ?? "",
                characterSet: identity.characterSet, plugin: machine.plugin.rawValue,
                attributes: session.capabilities.contains(.connectAttributes) ? identity.attributes : nil)
            try await session.send(.changeUser, request.encode(), deadline)
            // Whatever it comes to: the session is not the one that was opened any more.
            session.isForeign = true
            let (_, how) = try await session.authenticate(&machine, deadline)
            session.identity?.nonce = machine.sessionNonce
            session.identity?.plugin = machine.plugin.rawValue
            authentication = how
        } catch {
            core.finish(error)
            throw core.error(error, phase, purpose)
        }
        core.forgetStatements()
        core.end()
        try await prepareSession(deadline)
        return authentication
    }
}

extension Session {
    /// Runs the authentication that was begun to its end.
    func authenticate(_ machine: inout AuthenticationMachine, _ deadline: Deadline) async throws(Failure) -> (
        OKPacket, HandshakeFacts.Authentication
    ) {
        while true {
            let range = try await read(deadline)
            switch try machine.receive(packet(range)) {
            case .read: continue
            case .send(let payload): try await send(payload, deadline)
            case .authenticated(let ok, let how): return (ok, how)
            }
        }
    }
}
