/// A byte stream with deadlines: the channel, and TLS over it once it was started. Used by one task at a time;
/// only `close` may come from elsewhere.
final class Transport {
    let channel: Channel
    private var tls: TLSEngine?
    /// Ciphertext between the socket and the TLS engine.
    private var scratch: [UInt8] = []
    /// Most that is encrypted before it is sent, in bytes.
    private static let slice = 128 * 1024

    init(channel: Channel) {
        self.channel = channel
    }

    func close() { channel.close() }

    /// Begins TLS and completes its handshake, verification included.
    /// - Parameter request: the SSLRequest, in clear, which shares its segment with the first TLS record.
    func startTLS(_ engine: TLSEngine, after request: [UInt8], _ deadline: Deadline) async throws(Failure) {
        scratch = [UInt8](repeating: 0, count: 64 * 1024)
        var output = request
        while true {
            var failure: Failure?
            var isDone = false
            do throws(Failure) {
                isDone = try engine.handshake()
            } catch {
                failure = error
            }
            // Also after a failure: the alert tells the server why.
            output += engine.takeOutput()
            if let failure {
                _ = try? sendSlice(output, 0..<output.count)
                throw failure
            }
            if !output.isEmpty { try await writeRaw(output, deadline) }
            output = []
            if isDone { break }
            while try !receiveCiphertext(engine, sparing: true) {
                try await channel.wait(for: .readable, deadline)
            }
        }
        tls = engine
    }

    /// Fills the framer with what one read brings. Ends with `timeout` or `cancelled` even where bytes never stop.
    /// - Parameter isBulk: whether much more is to come.
    /// - Throws: also `closed` at the end of the stream.
    func fill(_ framer: inout PacketFramer, isBulk: Bool = false, _ deadline: Deadline) async throws(Failure) {
        while true {
            if Task.isCancelled { throw .cancelled }
            if deadline.hasPassed { throw .timeout }
            if try fillWithoutWaiting(&framer, sparing: true) { return }
            try await channel.wait(for: .readable, isBulk: isBulk, deadline)
        }
    }

    /// The same with what is there already.
    /// - Returns: whether anything was.
    func fillWithoutWaiting(_ framer: inout PacketFramer, sparing: Bool = false) throws(Failure) -> Bool {
        while true {
            let outcome = try framer.receive { (room) throws(Failure) in
                if let tls { try tls.read(into: room) } else { try channel.receive(into: room, sparing: sparing) }
            }
            switch outcome {
            case .bytes: return true
            case .endOfStream: throw .closedByServer
            case .wouldBlock:
                guard let tls, try receiveCiphertext(tls, sparing: sparing) else { return false }
            }
        }
    }

    /// Hands what one read brings to the TLS engine.
    private func receiveCiphertext(_ engine: TLSEngine, sparing: Bool) throws(Failure) -> Bool {
        var failure: Failure?
        var received = false
        scratch.withUnsafeMutableBytes { room in
            do throws(Failure) {
                switch try channel.receive(into: room, sparing: sparing) {
                case .bytes(let count):
                    try engine.feed(UnsafeRawBufferPointer(rebasing: room[..<count]))
                    received = true
                case .wouldBlock: break
                case .endOfStream: throw .closedByServer
                }
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return received
    }

    /// Writes all of it.
    func write(_ bytes: [UInt8], _ deadline: Deadline) async throws(Failure) {
        guard let tls else { return try await writeRaw(bytes, deadline) }
        var from = 0
        while from < bytes.count {
            let end = min(from + Self.slice, bytes.count)
            try encrypt(bytes, from..<end, tls)
            try await writeRaw(tls.takeOutput(), deadline)
            from = end
        }
    }

    private func encrypt(_ bytes: [UInt8], _ range: Range<Int>, _ engine: TLSEngine) throws(Failure) {
        var failure: Failure?
        bytes.withUnsafeBytes { all in
            do throws(Failure) {
                try engine.write(UnsafeRawBufferPointer(rebasing: all[range]))
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
    }

    private func writeRaw(_ bytes: [UInt8], _ deadline: Deadline) async throws(Failure) {
        var sent = 0
        while true {
            if Task.isCancelled { throw .cancelled }
            if deadline.hasPassed { throw .timeout }
            sent += try sendSlice(bytes, sent..<bytes.count)
            if sent == bytes.count { return }
            try await channel.wait(for: .writable, deadline)
        }
    }

    private func sendSlice(_ bytes: [UInt8], _ range: Range<Int>) throws(Failure) -> Int {
        if range.isEmpty { return 0 }
        var failure: Failure?
        let count = bytes.withUnsafeBytes { all in
            do throws(Failure) {
                return try channel.send(UnsafeRawBufferPointer(rebasing: all[range]))
            } catch {
                failure = error
                return 0
            }
        }
        if let failure { throw failure }
        return count
    }

    /// Writes what goes out at once and forgets the rest; the last words before `close`.
    func sayGoodbye(_ bytes: [UInt8]) {
        var output = bytes
        if let tls {
            guard (try? encrypt(bytes, 0..<bytes.count, tls)) != nil else { return }
            tls.shutdown()
            output = tls.takeOutput()
        }
        _ = try? sendSlice(output, 0..<output.count)
    }
}
