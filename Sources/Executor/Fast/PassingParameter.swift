import Glibc
import ModelIR

/// Memory for a parameter that isn't mapped (it is decoded, transposed or rounded on reading), there only while a kernel works on it.
///
/// The address is fixed, since kernels are prepared with it; pages come with `fill` and go with `drop`. So the memory of a single pass doesn't
/// grow with the model.
final class PassingParameter {
    private let tensor: Tensor
    private let byteCount: Int
    let pointer: UnsafeMutableRawPointer

    /// nil for parameters that needn't be filled in, or where the system has no address space left.
    init?(_ tensor: Tensor, _ type: ConcreteType) {
        guard type.dtype.isFloat, tensor.count > 0 else { return nil }
        self.tensor = tensor
        // 64 more, so that a vector that starts at the last element stays inside.
        byteCount = tensor.count * MemoryLayout<Float>.size + 64
        guard let memory = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), memory != MAP_FAILED else {
            return nil
        }
        pointer = memory
    }

    deinit { munmap(pointer, byteCount) }

    func fill() throws {
        try tensor.readFloats(into: UnsafeMutableRawBufferPointer(start: pointer, count: byteCount - 64))
    }

    /// Some of the elements.
    func fill(_ elements: Range<Int>) throws {
        let size = MemoryLayout<Float>.size
        try tensor.elements(from: elements.lowerBound, shape: [elements.count]).readFloats(
            into: UnsafeMutableRawBufferPointer(start: pointer + elements.lowerBound * size, count: elements.count * size))
    }

    /// Gives back the whole pages among some elements; what shares its page with others stays.
    func drop(_ elements: Range<Int>) {
        let (page, size) = (Int(getpagesize()), MemoryLayout<Float>.size)
        let start = (elements.lowerBound * size + page - 1) / page * page
        let end = elements.upperBound * size / page * page
        if end > start { madvise(pointer + start, end - start, MADV_DONTNEED) }
    }

    func drop() { madvise(pointer, byteCount, MADV_DONTNEED) }

    /// A kernel that finds the parameters in place.
    static func filling(_ parameters: [PassingParameter], _ kernel: @escaping Kernel) -> Kernel {
        guard !parameters.isEmpty else { return kernel }
        return {
            for parameter in parameters { try parameter.fill() }
            defer { for parameter in parameters { parameter.drop() } }
            try kernel()
        }
    }
}

extension Tensor {
    /// The elements of a tensor of floats as f32.
    func readFloats(into buffer: UnsafeMutableRawBufferPointer) throws {
        if dtype == .f32 {
            try storage.read(into: buffer, at: 0)
        } else {
            try floats().withUnsafeBytes { buffer.copyMemory(from: $0) }
        }
    }
}
