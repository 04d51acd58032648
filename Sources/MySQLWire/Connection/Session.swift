/// Packets over a transport: the part of a connection that may be touched by one call at a time. `ConnectionCore`
/// hands it to the call that holds the lease, which is what makes `@unchecked Sendable` true.
final class Session: @unchecked Sendable {
    /// Commands. https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_command_phase.html
    enum Command: UInt8 {
        case quit = 0x01
        case initDatabase = 0x02
        case query = 0x03
        case ping = 0x0E
        case changeUser = 0x11
        case prepare = 0x16
        case execute = 0x17
        case closeStatement = 0x19
        case resetConnection = 0x1F
    }

    let transport: Transport
    var framer = PacketFramer()
    var capabilities: Capabilities = []
    /// Most memory that the collected rows of one answer may take, in bytes, as `Exchange.cost` reckons it.
    var maximumCollected = 256 << 20
    /// What a change of the user needs to know; set when the session was opened.
    var identity: SessionIdentity?
    /// Another user or default database than it was opened with: a reset does not undo that.
    var isForeign = false
    /// Number of the next packet that we send.
    private var sendSequence: UInt8 = 0

    init(transport: Transport) {
        self.transport = transport
    }

    /// Sends one packet of the connection phase, continuing the numbering of the packet that was read last.
    func send(_ payload: [UInt8], _ deadline: Deadline) async throws(Failure) {
        sendSequence = framer.expectedSequence
        let bytes = PacketWriter.frame([], payload, sequence: &sendSequence)
        framer.expectedSequence = sendSequence
        try await transport.write(bytes, deadline)
    }

    /// Asks for TLS and begins it.
    func startTLS(_ engine: TLSEngine, request: [UInt8], _ deadline: Deadline) async throws(Failure) {
        // Bytes that came in clear would otherwise be taken for part of the protected stream.
        guard !framer.hasUnreadBytes else { throw .violation("the server spoke in clear before the TLS handshake") }
        sendSequence = framer.expectedSequence
        let bytes = PacketWriter.frame([], request, sequence: &sendSequence)
        framer.expectedSequence = sendSequence
        try await transport.startTLS(engine, after: bytes, deadline)
    }

    /// Starts a command: the numbering begins anew.
    func send(_ command: Command, _ argument: [UInt8] = [], _ deadline: Deadline) async throws(Failure) {
        sendSequence = 0
        let bytes = PacketWriter.frame([command.rawValue], argument, sequence: &sendSequence)
        framer.expectedSequence = sendSequence
        do throws(Failure) {
            try await transport.write(bytes, deadline)
        } catch {
            // The server says why (packet too large, shutdown, idle too long) before it closes.
            if error.code == .closed, let reason = reasonForClosing() { throw reason }
            throw error
        }
    }

    /// The next packet, as a range of `framer.buffer`; valid until the next read.
    func read(_ deadline: Deadline) async throws(Failure) -> Range<Int> {
        while true {
            if let packet = try framer.next() { return packet }
            try await transport.fill(&framer, deadline)
        }
    }

    func packet(_ range: Range<Int>) -> ByteReader { ByteReader(framer.buffer, range) }

    func firstByte(_ range: Range<Int>) -> UInt8? { range.isEmpty ? nil : framer.buffer[range.lowerBound] }

    /// Looks, without waiting, whether the server said something between two commands. The only thing it may say is
    /// an ERR packet before it closes (4031 after wait_timeout, 1053 at shutdown).
    func checkIdle() throws(Failure) {
        guard transport.channel.mayBeReadable || framer.hasUnreadBytes else { return }
        framer.expectedSequence = 0
        var ended: Failure?
        do throws(Failure) {
            while try transport.fillWithoutWaiting(&framer) {}
        } catch {
            ended = error
        }
        if let range = try framer.next() {
            guard firstByte(range) == 0xFF else { throw .violation("the server spoke without being asked") }
            throw Failure(try ServerError.decode(packet(range)), keepsConnection: false)
        }
        if let ended { throw ended }
        if framer.hasUnreadBytes { throw .violation("the server spoke without being asked") }
    }

    /// A violation of the protocol with the packet that was read last.
    func located(_ failure: Failure) -> Failure {
        guard failure.code == .protocolViolation, let last = framer.last else { return failure }
        var located = failure
        located.message += " (last packet: number \(last.number), \(last.length) bytes)"
        return located
    }

    private func reasonForClosing() -> Failure? {
        do throws(Failure) {
            while try transport.fillWithoutWaiting(&framer) {}
        } catch {
            // The end of the stream is expected here; what came before it counts.
        }
        guard let range = try? framer.next(), firstByte(range) == 0xFF,
            let error = try? ServerError.decode(packet(range))
        else { return nil }
        return Failure(error, keepsConnection: false)
    }
}
