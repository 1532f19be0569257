import ByteIO
import ModelIR
public enum NPZArchive {
    public static func read(path: String) throws -> [(name: String, tensor: Tensor)] {
        let b = try ByteRegion(path: path).bytes()
        func u(_ o: Int, _ n: Int) -> Int { (0..<n).reduce(0) { $0 | Int(b[o + $1]) << (8 * $1) } }
        var out: [(name: String, tensor: Tensor)] = []
        var o = 0
        while o + 4 <= b.count, u(o, 4) == 0x04034b50 {
            let nl = u(o + 26, 2), el = u(o + 28, 2)
            var size = u(o + 18, 4)
            if size == 0xffffffff { size = u(o + 30 + nl + 4, 8); if size == 0xffffffff { size = u(o + 30 + nl + 12, 8) } }
            var name = String(decoding: b[o + 30..<o + 30 + nl], as: UTF8.self)
            name.removeLast(4)
            let d = o + 30 + nl + el
            let hl = u(d + 8, 2)
            let h = String(decoding: b[d + 10..<d + 10 + hl], as: UTF8.self)
            let descr = h.split(separator: "'")[3]
            let sh = h.split(separator: "(")[1].split(separator: ")", omittingEmptySubsequences: false)[0].split(separator: ",").compactMap { Int($0.trimmingPrefix(" ")) }
            let dt: DType = ["<f4": .f32, "<f8": .f64, "<i4": .i32, "<i8": .i64, "|b1": .bool, "<f2": .f16, "|u1": .u8, "|i1": .i8][String(descr)]!
            out.append((name, Tensor(dtype: dt, shape: sh, bytes: Array(b[d + 10 + hl..<d + size]))))
            o = d + size
        }
        return out
    }
    public static func write(_ arrays: [(name: String, tensor: Tensor)], to: OutputFile) throws { throw UnsupportedError("later") }
}
