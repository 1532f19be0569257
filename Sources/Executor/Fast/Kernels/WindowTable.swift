import ModelIR

/// For every output position of one image the input position that each window element meets, or -1 in the padding.
struct WindowTable {
    let windowCount: Int
    let inputCount: Int
    let outputCount: Int
    /// [output position][window element]
    let positions: [Int32]

    init(_ walk: WindowWalk) {
        windowCount = walk.sizes.reduce(1, *)
        inputCount = walk.input.reduce(1, *)
        outputCount = walk.output.reduce(1, *)
        var positions = [Int32](repeating: -1, count: windowCount * outputCount)
        let width = windowCount
        walk.forEach { output, element, input in positions[output * width + element] = Int32(input) }
        self.positions = positions
    }
}
