import Testing

@testable import MySQLWire

/// Whatever a server sends, decoding ends with a value or an error: never with a trap.
struct DecodingTests {
    static let decoders: [(name: String, packet: [UInt8], decode: @Sendable (ByteReader) throws -> Void)] = [
        ("greeting", Packets.greeting(), { _ = try Greeting.decode($0) }),
        ("OK", Packets.ok(), { _ = try OKPacket.decode($0) }),
        ("EOF", Packets.eof(), { _ = try OKPacket.decodeEOF($0) }),
        ("ERR", Packets.error(1045, "no"), { _ = try ServerError.decode($0) }),
        ("column", Packets.column("name"), { _ = try ColumnDefinition.decode($0) }),
        (
            "switch", [0xFE] + Array("mysql_native_password\0".utf8) + Packets.nonce + [0],
            { _ = try AuthSwitchRequest.decode($0) }
        ),
    ]

    @Test(arguments: decoders.indices)
    func everyTruncationIsAnErrorOrAValue(_ index: Int) throws {
        let (name, packet, decode) = Self.decoders[index]
        try decode(ByteReader(packet))
        for length in 0..<packet.count {
            do {
                try decode(ByteReader(packet, 0..<length))
            } catch let error as Failure {
                #expect([.protocolViolation, .authentication].contains(error.code), "\(name) cut to \(length)")
            }
        }
        // What ends before its last needed field must be an error.
        #expect(throws: Failure.self, "\(name) cut to 0") { try decode(ByteReader(packet, 0..<0)) }
        #expect(throws: Failure.self, "\(name) cut to 2") { try decode(ByteReader(packet, 0..<2)) }
    }

    @Test func greetingFields() throws {
        let greeting = try Greeting.decode(ByteReader(Packets.greeting()))
        #expect(greeting.version == "9.7.4")
        #expect(greeting.connectionID == 77)
        #expect(greeting.nonce == Packets.nonce)
        #expect(greeting.plugin == "caching_sha2_password")
    }

    /// The NUL behind the nonce may be missing where nothing follows it.
    @Test func aGreetingWithoutThePluginsName() throws {
        let plain = Packets.greeting(plugin: "", without: [.ssl, .pluginAuth])
        for end in [plain.count - 2, plain.count - 1] {
            let greeting = try Greeting.decode(ByteReader(plain, 0..<end))
            #expect(greeting.nonce == Packets.nonce && greeting.plugin.isEmpty)
        }
    }

    @Test func otherProtocolVersionsAndLongVersionsAreRefused() {
        var packet = Packets.greeting()
        packet[0] = 9
        #expect(throws: Failure.self) { try Greeting.decode(ByteReader(packet)) }
        let long = Packets.greeting(version: String(repeating: "9", count: 257))
        #expect(throws: Failure.self) { try Greeting.decode(ByteReader(long)) }
    }

    @Test func anErrorBeforeTheHandshakeHasNoState() throws {
        let error = try ServerError.decode(ByteReader(Packets.error(1040, state: nil, "Too many connections")))
        #expect(error == ServerError(number: 1040, sqlState: "", message: "Too many connections"))
    }

    @Test func lengthsBeyondThePacketAreErrors() {
        for bytes: [UInt8] in [
            [5, 1, 2], [0xFC, 1], [0xFD, 1, 2], [0xFE, 1, 2, 3, 4, 5, 6, 7], [0xFB], [0xFF],
            [0xFE] + [UInt8](repeating: 0xFF, count: 8), [0xFE, 0, 0, 0, 0, 0, 0, 0, 0x80],
        ] {
            var reader = ByteReader(bytes)
            #expect(throws: Failure.self, "\(bytes)") { try reader.lenencRange("test") }
            var offsets: [(start: Int32, length: Int32)] = []
            if bytes == [0xFB] { continue }
            #expect(throws: Failure.self, "\(bytes)") {
                try bytes.withUnsafeBufferPointer { pointer in
                    try TextRow.decode(pointer, 0..<bytes.count, columns: 1, into: &offsets)
                }
            }
        }
    }

    @Test func rowsGiveTheirValuesAndNULL() throws {
        let packet = Packets.row(["", nil, "äb", String(repeating: "x", count: 300)])
        var offsets: [(start: Int32, length: Int32)] = []
        try packet.withUnsafeBufferPointer { try TextRow.decode($0, 0..<packet.count, columns: 4, into: &offsets) }
        let batch = RowBatch(bytes: packet, columns: Packets.columns(4), offsets: offsets)
        #expect((0..<3).map { batch.string(row: 0, column: $0) } == ["", nil, "äb"])
        #expect(batch.range(row: 0, column: 3)?.count == 300)
        for length in 0..<packet.count {
            #expect(throws: Failure.self) {
                try packet.withUnsafeBufferPointer { pointer in
                    try TextRow.decode(pointer, 0..<length, columns: 4, into: &offsets)
                }
            }
        }
    }

    /// Mutations of real packets and plain noise, through every decoder and both machines.
    @Test func noiseNeverTraps() throws {
        var random = Noise(seed: 20_261)
        var outcomes = 0
        for _ in 0..<4000 {
            for (_, packet, decode) in Self.decoders {
                let bytes = random.mutate(packet)
                if (try? decode(ByteReader(bytes))) != nil { outcomes += 1 }
                var results = ResultSetMachine(deprecateEOF: random.next() % 2 == 0)
                var authentication = try AuthenticationMachine(
                    password: "secret", greeting: Packets.nonce, plugin: "caching_sha2_password", road: .tls,
                    keyRetrieval: .allowed)
                for _ in 0..<4 {
                    let bytes = random.mutate(packet)
                    _ = try? results.receive(first: bytes.first, length: bytes.count, packet: ByteReader(bytes))
                    _ = try? authentication.receive(ByteReader(bytes))
                }
            }
            var framer = PacketFramer()
            framer.append(random.mutate(frame(0, [1, 2, 3]) + frame(1, [UInt8](repeating: 0, count: 40))))
            while (try? framer.next()) != nil {}
        }
        #expect(outcomes > 0)
    }
}

/// A small generator with a fixed seed, so that a failure can be repeated.
struct Noise {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state >> 33
    }

    mutating func mutate(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        for _ in 0...(next() % 4) where !bytes.isEmpty {
            let at = Int(next() % UInt64(bytes.count))
            switch next() % 4 {
            case 0: bytes[at] = UInt8(truncatingIfNeeded: next())
            case 1: bytes[at] = [0xFB, 0xFC, 0xFD, 0xFE, 0xFF, 0][Int(next() % 6)]
            case 2: bytes.removeSubrange(at...)
            default: bytes.insert(UInt8(truncatingIfNeeded: next()), at: at)
            }
        }
        return bytes
    }
}
