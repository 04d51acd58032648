/// The reply to COM_STMT_PREPARE: the statement's number, then a definition for each parameter and each column. No
/// input or output: packets go in, what they mean comes out.
/// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_prepare.html
struct PrepareMachine: ~Copyable {
    enum Action: Sendable {
        case read
        case prepared(PrepareOK)
        case failed(ServerError)
    }

    /// A group of definitions, and (in the older form) the EOF packet behind it.
    private enum State {
        case header
        case parameters(left: UInt16)
        case endOfParameters
        case columns(left: UInt16)
        case endOfColumns
        case finished
    }

    private var state = State.header
    private var statement = PrepareOK(statement: 0, columns: 0, parameters: 0)
    private let deprecateEOF: Bool

    init(deprecateEOF: Bool) {
        self.deprecateEOF = deprecateEOF
    }

    mutating func receive(_ packet: ByteReader) throws(Failure) -> Action {
        if packet.peek == 0xFF {
            // Nothing can fail once the statement has its number.
            guard case .header = state else { throw .violation("an ERR packet among the definitions") }
            state = .finished
            return .failed(try ServerError.decode(packet))
        }
        switch state {
        case .header:
            statement = try PrepareOK.decode(packet)
            return afterHeader()
        case .parameters(let left):
            _ = try ColumnDefinition.decode(packet)
            if left > 1 {
                state = .parameters(left: left - 1)
                return .read
            }
            if deprecateEOF { return afterParameters() }
            state = .endOfParameters
            return .read
        case .endOfParameters:
            try checkEOF(packet)
            return afterParameters()
        case .columns(let left):
            _ = try ColumnDefinition.decode(packet)
            if left > 1 {
                state = .columns(left: left - 1)
                return .read
            }
            if deprecateEOF { return finish() }
            state = .endOfColumns
            return .read
        case .endOfColumns:
            try checkEOF(packet)
            return finish()
        case .finished: throw .violation("a packet after the end of the reply")
        }
    }

    private mutating func afterHeader() -> Action {
        if statement.parameters == 0 { return afterParameters() }
        state = .parameters(left: statement.parameters)
        return .read
    }

    private mutating func afterParameters() -> Action {
        if statement.columns == 0 { return finish() }
        state = .columns(left: statement.columns)
        return .read
    }

    private mutating func finish() -> Action {
        state = .finished
        return .prepared(statement)
    }

    private func checkEOF(_ packet: ByteReader) throws(Failure) {
        guard packet.peek == 0xFE, packet.remaining < 9 else {
            throw .violation("no EOF packet after the definitions")
        }
    }
}
