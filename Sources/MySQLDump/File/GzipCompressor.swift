import CDeflate

/// Makes gzip members: every block of text becomes one that stands for itself, so that blocks can be compressed side
/// by side and cut out of a file. A file of many members is valid gzip (RFC 1952, section 2.2).
final class GzipCompressor {
    /// Bytes of text in one member.
    static let blockSize = 1 << 20
    /// libdeflate's fastest: about the size of zlib's level 6 at several times the speed of zlib's level 1.
    static let level: Int32 = 1

    private let compressor: OpaquePointer

    /// - Returns: nil if there is no memory.
    init?() {
        guard let compressor = libdeflate_alloc_compressor(Self.level) else { return nil }
        self.compressor = compressor
    }

    deinit { libdeflate_free_compressor(compressor) }

    /// One whole gzip member that holds `text`.
    func member(_ text: [UInt8]) -> [UInt8] {
        let bound = libdeflate_gzip_compress_bound(compressor, text.count)
        return text.withUnsafeBytes { input in
            [UInt8](unsafeUninitializedCapacity: bound) { output, count in
                count = libdeflate_gzip_compress(compressor, input.baseAddress, input.count, output.baseAddress, bound)
                // The bound promises room; 0 is its only failure.
                precondition(count > 0, "a gzip member did not fit its bound")
            }
        }
    }
}

/// The CRC-32 of gzip, taken of a stream piece by piece.
struct CRC32 {
    private(set) var value: UInt32 = 0

    mutating func add(_ bytes: UnsafeRawBufferPointer) {
        value = libdeflate_crc32(value, bytes.baseAddress, bytes.count)
    }
}
