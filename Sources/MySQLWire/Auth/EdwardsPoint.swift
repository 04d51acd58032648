/// A point of the curve of Ed25519 in extended coordinates. No branch and no index depends on a coordinate or on a
/// bit of the scalar. https://www.rfc-editor.org/rfc/rfc8032#section-5.1.4
struct EdwardsPoint {
    private var x, y, z, t: FieldElement

    private static let neutral = EdwardsPoint(x: .zero, y: .one, z: .one, t: .zero)

    static let base: EdwardsPoint = {
        let x = FieldElement([
            0xD51A, 0x8F25, 0x2D60, 0xC956, 0xA7B2, 0x9525, 0xC760, 0x692C, 0xDC5C, 0xFDD6, 0xE231, 0xC0A4, 0x53FE,
            0xCD6E, 0x36D3, 0x2169,
        ])
        let y = FieldElement([
            0x6658, 0x6666, 0x6666, 0x6666, 0x6666, 0x6666, 0x6666, 0x6666, 0x6666, 0x6666, 0x6666, 0x6666, 0x6666,
            0x6666, 0x6666, 0x6666,
        ])
        return EdwardsPoint(x: x, y: y, z: .one, t: x * y)
    }()

    /// Twice the curve's constant d.
    private static let twiceD = FieldElement([
        0xF159, 0x26B2, 0x9B94, 0xEBD6, 0xB156, 0x8283, 0x149A, 0x00E0, 0xD130, 0xEEF3, 0x80F2, 0x198E, 0xFCE7, 0x56DF,
        0xD9DC, 0x2406,
    ])

    private static func sum(_ p: EdwardsPoint, _ q: EdwardsPoint) -> EdwardsPoint {
        let a = (p.y - p.x) * (q.y - q.x)
        let b = (p.x + p.y) * (q.x + q.y)
        let c = p.t * q.t * twiceD
        let d = p.z * q.z
        let dd = d + d
        let e = b - a
        let f = dd - c
        let g = dd + c
        let h = b + a
        return EdwardsPoint(x: e * f, y: h * g, z: g * f, t: e * h)
    }

    private static func swap(_ p: inout EdwardsPoint, _ q: inout EdwardsPoint, if bit: Int64) {
        FieldElement.swap(&p.x, &q.x, if: bit)
        FieldElement.swap(&p.y, &q.y, if: bit)
        FieldElement.swap(&p.z, &q.z, if: bit)
        FieldElement.swap(&p.t, &q.t, if: bit)
    }

    /// - Parameter scalar: 32 bytes, little-endian.
    func multiplied(by scalar: [UInt8]) -> EdwardsPoint {
        var p = EdwardsPoint.neutral
        var q = self
        for index in stride(from: 255, through: 0, by: -1) {
            let bit = Int64(scalar[index / 8] >> UInt8(index & 7) & 1)
            EdwardsPoint.swap(&p, &q, if: bit)
            q = EdwardsPoint.sum(q, p)
            p = EdwardsPoint.sum(p, p)
            EdwardsPoint.swap(&p, &q, if: bit)
        }
        return p
    }

    /// 32 bytes: y, and the lowest bit of x at the top.
    var encoded: [UInt8] {
        let inverse = z.inverted
        var bytes = (y * inverse).encoded
        bytes[31] ^= (x * inverse).encoded[0] << 7
        return bytes
    }
}

/// A number modulo 2^255 - 19: 16 digits of 16 bits, of which each may run over into its neighbour's range between
/// two multiplications.
struct FieldElement {
    private var digits: SIMD16<Int64>

    init(_ digits: SIMD16<Int64>) { self.digits = digits }

    static let zero = FieldElement(.zero)
    static let one = FieldElement([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])

    static func + (a: FieldElement, b: FieldElement) -> FieldElement { FieldElement(a.digits &+ b.digits) }
    static func - (a: FieldElement, b: FieldElement) -> FieldElement { FieldElement(a.digits &- b.digits) }

    static func * (a: FieldElement, b: FieldElement) -> FieldElement {
        var wide = (low: SIMD16<Int64>.zero, high: SIMD16<Int64>.zero)
        for i in 0..<16 {
            let row = a.digits[i] &* b.digits
            for j in 0..<16 {
                let at = i + j
                if at < 16 { wide.low[at] &+= row[j] } else { wide.high[at - 16] &+= row[j] }
            }
        }
        // 2^256 is 38 modulo the prime.
        var product = FieldElement(wide.low &+ wide.high &* 38)
        product.carry()
        product.carry()
        return product
    }

    private mutating func carry() {
        for i in 0..<16 {
            digits[i] &+= 1 << 16
            let carry = digits[i] >> 16
            if i < 15 { digits[i + 1] &+= carry &- 1 } else { digits[0] &+= 38 &* (carry &- 1) }
            digits[i] &-= carry << 16
        }
    }

    /// - Parameter bit: 0 or 1.
    static func swap(_ a: inout FieldElement, _ b: inout FieldElement, if bit: Int64) {
        let difference = SIMD16<Int64>(repeating: ~(bit &- 1)) & (a.digits ^ b.digits)
        a.digits ^= difference
        b.digits ^= difference
    }

    /// The power of prime - 2.
    var inverted: FieldElement {
        var power = self
        for exponent in stride(from: 253, through: 0, by: -1) {
            power = power * power
            if exponent != 2, exponent != 4 { power = power * self }
        }
        return power
    }

    /// 32 bytes, little-endian, fully reduced.
    var encoded: [UInt8] {
        var value = self
        value.carry()
        value.carry()
        value.carry()
        for _ in 0..<2 {
            var reduced = FieldElement.zero
            reduced.digits[0] = value.digits[0] &- 0xFFED
            for i in 1..<15 {
                reduced.digits[i] = value.digits[i] &- 0xFFFF &- (reduced.digits[i - 1] >> 16 & 1)
                reduced.digits[i - 1] &= 0xFFFF
            }
            reduced.digits[15] = value.digits[15] &- 0x7FFF &- (reduced.digits[14] >> 16 & 1)
            let borrow = reduced.digits[15] >> 16 & 1
            reduced.digits[14] &= 0xFFFF
            FieldElement.swap(&value, &reduced, if: 1 &- borrow)
        }
        return (0..<32).map { UInt8(truncatingIfNeeded: value.digits[$0 / 2] >> Int64($0 % 2 * 8)) }
    }
}
