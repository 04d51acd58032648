/// Builds the fields of one packet.
struct ByteWriter {
    private(set) var bytes: [UInt8] = []

    mutating func uint8(_ value: UInt8) { bytes.append(value) }

    mutating func uint16(_ value: UInt16) {
        bytes.append(UInt8(truncatingIfNeeded: value))
        bytes.append(UInt8(truncatingIfNeeded: value >> 8))
    }

    mutating func uint32(_ value: UInt32) {
        uint16(UInt16(truncatingIfNeeded: value))
        uint16(UInt16(truncatingIfNeeded: value >> 16))
    }

    mutating func raw(_ value: some Sequence<UInt8>) { bytes.append(contentsOf: value) }

    /// - Precondition: the text holds no NUL; callers check what comes from outside.
    mutating func nulTerminated(_ text: String) {
        bytes.append(contentsOf: text.utf8)
        bytes.append(0)
    }

    mutating func lenencInt(_ value: Int) {
        switch value {
        case ..<0xFB:
            uint8(UInt8(truncatingIfNeeded: value))
        case ..<0x1_0000:
            uint8(0xFC)
            uint16(UInt16(truncatingIfNeeded: value))
        case ..<0x100_0000:
            uint8(0xFD)
            uint16(UInt16(truncatingIfNeeded: value))
            uint8(UInt8(truncatingIfNeeded: value >> 16))
        default:
            uint8(0xFE)
            uint32(UInt32(truncatingIfNeeded: value))
            uint32(UInt32(truncatingIfNeeded: value >> 32))
        }
    }

    mutating func lenencBytes(_ value: [UInt8]) {
        lenencInt(value.count)
        bytes.append(contentsOf: value)
    }
}
