import ByteIO

/// Checks the indices of a gather or scatter.
/// - Throws: `InputError` that names the layer, the input, the position, the value and the size.
func checkIndices(_ indices: some Collection<Int64>, below size: Int, shape: [Int], _ node: ConcreteNode) throws {
    guard let (position, value) = indices.enumerated().first(where: { $0.element < 0 || $0.element >= Int64(size) }) else { return }
    var place: [Int] = []
    var rest = position
    for n in shape.reversed() {
        place.insert(rest % n, at: 0)
        rest /= n
    }
    let what = node.indexInput.map { "input '\($0)'" } ?? "the indices"
    let layer = node.origin.isEmpty ? "" : "layer '\(node.origin)': "
    throw InputError("\(layer)index \(value) at \(place) of \(what) is outside 0 ..< \(size)")
}
