/// Rows of the text protocol.
enum Rows {
    /// The first byte says how many columns are due.
    static func run(_ bytes: [UInt8]) {
        guard let columns = bytes.first.map(Int.init) else { return }
        decode(bytes, 1..<bytes.count, columns: columns)
    }

    static func decode(_ bytes: [UInt8], _ range: Range<Int>, columns: Int) {
        var offsets: [(start: Int32, length: Int32)] = []
        do throws(Failure) {
            var failure: Failure?
            bytes.withUnsafeBufferPointer { pointer in
                do throws(Failure) {
                    try TextRow.decode(pointer, range, columns: columns, into: &offsets)
                } catch {
                    failure = error
                }
            }
            if let failure { throw failure }
        } catch {
            return describe(error)
        }
        let definition = ColumnDefinition(
            schema: "", table: "", name: "", characterSet: 255, length: 0, type: 253, flags: 0, decimals: 0)
        let batch = RowBatch(
            bytes: bytes, columns: [ColumnDefinition](repeating: definition, count: columns), offsets: offsets)
        demand(batch.rowCount == (columns == 0 ? 0 : 1))
        for column in 0..<columns {
            guard let value = batch.range(row: 0, column: column) else { continue }
            demand(value.lowerBound >= range.lowerBound && value.upperBound <= range.upperBound)
            _ = batch.string(row: 0, column: column)
        }
    }
}

/// The client's side of an authentication.
enum Login {
    private static let roads: [AuthenticationMachine.Road] = [
        .tls, .unix, .clear(loopback: true), .clear(loopback: false),
    ]
    private static let passwords = ["", "secret", String(repeating: "long ", count: 60)]
    private static let plugins = ["caching_sha2_password", "mysql_native_password", "", "sha256_password"]

    /// The first byte chooses the road and what is allowed; packets follow.
    static func run(_ bytes: [UInt8]) {
        guard let choice = bytes.first.map(Int.init) else { return }
        let password = passwords[choice / 32 % 3]
        let road = roads[choice % 4]
        do throws(Failure) {
            var machine = try AuthenticationMachine(
                password: password, greeting: Array(1...20), plugin: plugins[choice / 4 % 4], road: road,
                keyRetrieval: choice / 16 % 2 == 0 ? .loopbackOnly : .allowed)
            let begin = try machine.begin()
            if case .clear = road, !password.isEmpty { demand(!contains(begin, Array(password.utf8))) }
            for packet in Packets(bytes, from: 1) {
                switch try machine.receive(ByteReader(packet)) {
                case .read: continue
                case .send(let payload):
                    // The password leaves in full only where nobody can listen.
                    if case .clear = road, !password.isEmpty { demand(!contains(payload, Array(password.utf8))) }
                case .authenticated:
                    let again: AuthenticationMachine.Action? = try? machine.receive(ByteReader([0, 0, 0, 2, 0, 0, 0]))
                    demand(again == nil)
                    return
                }
            }
        } catch {
            demand(password.isEmpty || !error.message.contains(password))
            describe(error)
        }
    }

    private static func contains(_ bytes: [UInt8], _ part: [UInt8]) -> Bool {
        guard bytes.count >= part.count else { return false }
        return (0...bytes.count - part.count).contains { bytes[$0..<$0 + part.count].elementsEqual(part) }
    }
}

/// The reply to a statement.
enum Reply {
    /// The first byte says which form the ends of rows have; packets follow.
    static func run(_ bytes: [UInt8]) {
        guard let choice = bytes.first else { return }
        var machine = ResultSetMachine(deprecateEOF: choice & 1 == 1, sessionTrack: choice & 2 == 2)
        var columns = 0
        var ended = false
        do throws(Failure) {
            for packet in Packets(bytes, from: 1) {
                let action = try machine.receive(
                    first: packet.first, length: packet.count, packet: ByteReader(packet))
                demand(!ended)
                switch action {
                case .read: continue
                case .columns(let definitions):
                    columns = definitions.count
                    demand(columns > 0 && columns <= ResultSetMachine.maximumColumns)
                case .row:
                    demand(columns > 0)
                    Rows.decode(packet, packet.indices, columns: columns)
                case .nextResult: columns = 0
                case .end, .failed: ended = true
                }
            }
        } catch {
            describe(error)
        }
    }
}

/// The reply to COM_STMT_PREPARE.
enum Preparing {
    /// The first byte says which form the ends of definitions have; packets follow.
    static func run(_ bytes: [UInt8]) {
        guard let choice = bytes.first else { return }
        var machine = PrepareMachine(deprecateEOF: choice & 1 == 1)
        var ended = false
        do throws(Failure) {
            for packet in Packets(bytes, from: 1) {
                let action = try machine.receive(ByteReader(packet))
                demand(!ended)
                switch action {
                case .read: continue
                case .prepared, .failed: ended = true
                }
            }
        } catch {
            describe(error)
        }
    }
}

/// A row of a binary result set.
enum BinaryRows {
    /// The first byte says how many columns there are, and a byte for each its type; the row follows.
    static func run(_ bytes: [UInt8]) {
        guard let choice = bytes.first else { return }
        let types = bytes.dropFirst().prefix(Int(choice & 15) + 1)
        let columns = types.map { type in
            ColumnDefinition(
                schema: "", table: "", name: "", characterSet: choice & 16 == 0 ? 63 : 255, length: 0, type: type,
                flags: choice & 32 == 0 ? 0 : 0x20, decimals: 0)
        }
        let row = Array(bytes.dropFirst(1 + columns.count))
        do throws(Failure) {
            let values = try BinaryRow.decode(ByteReader(row), columns)
            demand(values.count == columns.count)
            for value in values {
                switch value {
                case .dateTime(let moment): demand(moment.description.utf8.count < 40)
                case .time(let time): demand(time.description.utf8.count < 40)
                default: continue
                }
            }
            demand(!ExecuteRequest.encode(statement: 1, values).isEmpty)
        } catch {
            describe(error)
        }
    }
}
