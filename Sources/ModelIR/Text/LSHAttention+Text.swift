extension LSHAttention {
    /// `buckets=[]` where their number follows from the length.
    var textAttributes: [String] {
        [
            "chunk=\(chunk)", "before=\(before)", "after=\(after)", "hashes=\(hashes)", "buckets=\(buckets)", "longest=\(longest)",
            "seed=\(seed)",
        ] + flag("causal", isCausal)
    }

    init(_ attributes: inout TextAttributes) throws(TextFailure) {
        self.init(
            chunk: try attributes.int("chunk"), before: try attributes.int("before"), after: try attributes.int("after"),
            hashes: try attributes.int("hashes"), buckets: try attributes.ints("buckets"), longest: try attributes.int("longest"),
            seed: try attributes.int("seed"), isCausal: try attributes.flag("causal"))
    }
}
