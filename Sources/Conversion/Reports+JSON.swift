import Executor
import JSON

extension Verification {
    /// The document of `ingot verify --json`, of a stable shape.
    public var json: JSONValue {
        [
            "passes": .bool(passes),
            "parameters": [
                "equal": .int(equalCount), "rewritten": .int(rewrittenCount),
                "different": .array(differences.map { ["name": .string($0.name), "message": .string($0.message)] }),
            ],
            "rewrites": .array(rewrites.map { .string($0) }),
            "configuration_difference": configurationDifference.map { .string($0) } ?? .null,
            "forward_obstacle": forwardObstacle.map { .string($0) } ?? .null, "output_drift": .double(outputDrift),
            "first_divergence": (firstDivergence?.name ?? sketches.first { !$0.agrees }?.name).map { .string($0) } ?? .null,
            "layers": .array(
                layers.map { layer in
                    [
                        "name": .string(layer.name), "output": .bool(layer.isOutput), "passes": .bool(layer.comparison.passes),
                        "maximum_difference": .double(layer.comparison.maximumDifference),
                        "mean_difference": .double(layer.comparison.meanDifference), "failing": .int(layer.comparison.failingCount),
                        "count": .int(layer.comparison.count), "rms": .double(layer.comparison.statisticsB.rms),
                    ]
                }),
            "sketches": .array(
                sketches.map { sketch in
                    [
                        "name": .string(sketch.name), "output": .bool(sketch.isOutput), "agrees": .bool(sketch.agrees),
                        "difference": .double(sketch.difference),
                    ]
                }),
            "problems": .array(proofProblems.map { .string($0) }),
        ]
    }
}

extension ConversionReport {
    /// The document of `ingot convert --json`, of a stable shape.
    public var json: JSONValue {
        [
            "source": .string(sourcePath), "output": .string(outputPath), "format": .string(outputKind.rawValue),
            "source_bytes": .int(sourceByteCount), "output_bytes": .int(outputByteCount),
            "fingerprint": fingerprint.map { .string($0) } ?? .null,
            "written": .bool(verification?.passes ?? true), "notes": .array(notes.map { .string($0) }),
            "verification": verification?.json ?? .null,
        ]
    }
}
