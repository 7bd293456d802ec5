//! Help lines are advice that works: each suggested filter is quoted in the help, compiles, and has the intended meaning.

use filter::{Dialect, FilterOptions};
use serde_json::{Value, json};

/// A filter with a mistake, the suggested part, the filter with the suggestion, events that it matches and does not.
type Case = (Dialect, &'static str, &'static str, &'static str, Vec<Value>, Vec<Value>);

fn cases() -> Vec<Case> {
    use Dialect::{EventBridge, Native, TriggerDev};
    vec![
        (
            EventBridge,
            r#"{"source": {"prefix": "aws"}}"#,
            r#"[{"prefix":"aws"}]"#,
            r#"{"source": [{"prefix": "aws"}]}"#,
            vec![json!({"source": "aws.ec2"})],
            vec![json!({"source": "gcp"}), json!({})],
        ),
        (
            EventBridge,
            r#"{"source": "aws"}"#,
            r#"["aws"]"#,
            r#"{"source": ["aws"]}"#,
            vec![json!({"source": "aws"})],
            vec![json!({"source": "x"})],
        ),
        (
            EventBridge,
            r#"{"n": [{"numeric": [">", 7]}, {"numeric": ["<=", 9.5]}]}"#,
            r#"{"numeric":[">",7,"<=",9.5]}"#,
            r#"{"n": [{"numeric": [">", 7, "<=", 9.5]}]}"#,
            vec![json!({"n": 9.5}), json!({"n": 8})],
            vec![json!({"n": 7}), json!({"n": 10})],
        ),
        (
            TriggerDev,
            r#"{"n": {"$gt": 1}}"#,
            r#"[{"$gt":1}]"#,
            r#"{"n": [{"$gt": 1}]}"#,
            vec![json!({"n": 2})],
            vec![json!({"n": 1})],
        ),
        (
            Native,
            r#"{"a": {"$ne": null}}"#,
            r#"{"$exists":true,"$isNull":false}"#,
            r#"{"a": {"$exists": true, "$isNull": false}}"#,
            vec![json!({"a": 1}), json!({"a": {}})],
            vec![json!({"a": null}), json!({})],
        ),
        (
            Native,
            r#"{"a": {"$nin": [null]}}"#,
            r#"{"$exists":true,"$isNull":false}"#,
            r#"{"a": {"$exists": true, "$isNull": false}}"#,
            vec![json!({"a": "x"})],
            vec![json!({"a": null}), json!({})],
        ),
        (
            Native,
            r#"{"n": [{"$gte": 3}, {"$lt": 8}]}"#,
            r#"{"$gte":3,"$lt":8}"#,
            r#"{"n": {"$gte": 3, "$lt": 8}}"#,
            vec![json!({"n": 3}), json!({"n": 7.5})],
            vec![json!({"n": 8}), json!({"n": 2})],
        ),
        (
            Native,
            r#"{"n": {"$between": [9, 4]}}"#,
            "[4,9]",
            r#"{"n": {"$between": [4, 9]}}"#,
            vec![json!({"n": 4})],
            vec![json!({"n": 3})],
        ),
        (
            Native,
            r#"{"tags": {"$some": "x"}}"#,
            r#"{"$some":["x"]}"#,
            r#"{"tags": {"$some": ["x"]}}"#,
            vec![json!({"tags": ["y", "x"]})],
            vec![json!({"tags": []})],
        ),
        (
            Native,
            r#"{"a": {"$nin": [null, "x"]}}"#,
            r#"{"$exists":true,"$anythingBut":[null,"x"]}"#,
            r#"{"a": {"$exists": true, "$anythingBut": [null, "x"]}}"#,
            vec![json!({"a": "y"}), json!({"a": 0})],
            vec![json!({"a": null}), json!({"a": "x"}), json!({})],
        ),
        (
            Native,
            r#"{"a": {"$ne": [null, "x"]}}"#,
            r#"{"$exists":true,"$anythingBut":[null,"x"]}"#,
            r#"{"a": {"$exists": true, "$anythingBut": [null, "x"]}}"#,
            vec![json!({"a": "y"})],
            vec![json!({"a": null}), json!({})],
        ),
        (
            Native,
            r#"{"a": {"$not": ["x", null]}}"#,
            r#"{"$exists":true,"$anythingBut":["x",null]}"#,
            r#"{"a": {"$exists": true, "$anythingBut": ["x", null]}}"#,
            vec![json!({"a": "y"})],
            vec![json!({"a": null}), json!({"a": "x"}), json!({})],
        ),
        (
            Native,
            r#"{"a": {"$ne": [null]}}"#,
            r#"{"$exists":true,"$isNull":false}"#,
            r#"{"a": {"$exists": true, "$isNull": false}}"#,
            vec![json!({"a": "y"})],
            vec![json!({"a": null}), json!({})],
        ),
        (
            Native,
            r#"{"a": {"$nin": ["x"]}}"#,
            r#"{"$anythingBut":["x"]}"#,
            r#"{"a": {"$anythingBut": ["x"]}}"#,
            vec![json!({"a": "y"}), json!({})],
            vec![json!({"a": "x"})],
        ),
        (
            Native,
            r#"{"a": {"$in": ["x", null]}}"#,
            r#"["x",null,{"$exists":false}]"#,
            r#"{"a": ["x", null, {"$exists": false}]}"#,
            vec![json!({"a": "x"}), json!({"a": null}), json!({})],
            vec![json!({"a": "y"})],
        ),
        (
            Native,
            r#"{"x": {"$date": "2024-01-01"}}"#,
            r#"{"$after":"2024-01-01T00:00:00Z"}"#,
            r#"{"x": {"$after": "2024-01-01T00:00:00Z"}}"#,
            vec![json!({"x": "2024-01-01T00:00:01Z"})],
            vec![json!({"x": "2023-01-01T00:00:00Z"})],
        ),
        (
            Native,
            r#"{"a": {"$ne": {"$gt": 5}}}"#,
            r#"{"$anythingBut":{"$gt":5}}"#,
            r#"{"a": {"$anythingBut": {"$gt": 5}}}"#,
            vec![json!({"a": 5})],
            vec![json!({"a": 6})],
        ),
        (
            Native,
            r#"{"a": {"$like": "50*%"}}"#,
            r#"{"$wildcard":"50\\**"}"#,
            r#"{"a": {"$wildcard": "50\\**"}}"#,
            vec![json!({"a": "50*x"})],
            vec![json!({"a": "50x"})],
        ),
        (
            Native,
            r#"{"status": {"prefix": "a"}}"#,
            r#"{"$startsWith":"a"}"#,
            r#"{"status": {"$startsWith": "a"}}"#,
            vec![json!({"status": "ab"})],
            vec![json!({"status": {"prefix": "a"}}), json!({"status": "b"})],
        ),
        (
            Native,
            r#"{"x": {"gt": 5}}"#,
            r#"{"$gt":5}"#,
            r#"{"x": {"$gt": 5}}"#,
            vec![json!({"x": 6})],
            vec![json!({"x": 5}), json!({"x": {"gt": 5}})],
        ),
        (
            Native,
            r#"{"x": {"gte": 5, "lt": 8.5}}"#,
            r#"{"$gte":5,"$lt":8.5}"#,
            r#"{"x": {"$gte": 5, "$lt": 8.5}}"#,
            vec![json!({"x": 5})],
            vec![json!({"x": 8.5})],
        ),
        (
            Native,
            r#"{"x": {"numeric": [">", 0, "<=", 5]}}"#,
            r#"{"$gt":0,"$lte":5}"#,
            r#"{"x": {"$gt": 0, "$lte": 5}}"#,
            vec![json!({"x": 5})],
            vec![json!({"x": 0}), json!({"x": 6})],
        ),
        (
            EventBridge,
            r#"{"n": {"numeric": [">", 5]}}"#,
            r#"[{"numeric":[">",5]}]"#,
            r#"{"n": [{"numeric": [">", 5]}]}"#,
            vec![json!({"n": 6})],
            vec![json!({"n": 5})],
        ),
        (
            EventBridge,
            r#"{"n": {"$gte": [5]}}"#,
            r#"[{"numeric":[">=",5]}]"#,
            r#"{"n": [{"numeric": [">=", 5]}]}"#,
            vec![json!({"n": 5})],
            vec![json!({"n": 4})],
        ),
        (
            TriggerDev,
            r#"{"n": {"$between": [1, 5]}}"#,
            r#"[{"$between":[1,5]}]"#,
            r#"{"n": [{"$between": [1, 5]}]}"#,
            vec![json!({"n": 5})],
            vec![json!({"n": 6}), json!({"n": {"$between": 1}})],
        ),
        (
            TriggerDev,
            r#"{"n": {"$gt": [1], "$lt": [5]}}"#,
            r#"[{"$gt":1},{"$lt":5}]"#,
            r#"{"n": [{"$gt": 1}, {"$lt": 5}]}"#,
            vec![json!({"n": 2})],
            vec![json!({"n": 5})],
        ),
        (
            Native,
            r#"{"n": [">", 5]}"#,
            r#"{"$gt":5}"#,
            r#"{"n": {"$gt": 5}}"#,
            vec![json!({"n": 6})],
            vec![json!({"n": 5}), json!({"n": ">"})],
        ),
        (
            EventBridge,
            r#"{"n": [">", 0, "<", 5]}"#,
            r#"[{"numeric":[">",0,"<",5]}]"#,
            r#"{"n": [{"numeric": [">", 0, "<", 5]}]}"#,
            vec![json!({"n": 4})],
            vec![json!({"n": 5})],
        ),
        (
            Native,
            r#"{"a.b.c": "x"}"#,
            r#"{"a":{"b":{"c":"x"}}}"#,
            r#"{"a": {"b": {"c": "x"}}}"#,
            vec![json!({"a": {"b": {"c": "x"}}})],
            vec![json!({"a.b.c": "x"})],
        ),
        (
            EventBridge,
            r#"{"detail.state": ["on"]}"#,
            r#"{"detail":{"state":["on"]}}"#,
            r#"{"detail": {"state": ["on"]}}"#,
            vec![json!({"detail": {"state": "on"}})],
            vec![json!({"detail.state": "on"})],
        ),
        (
            Native,
            r#"{"a[0]": "x"}"#,
            r#"{"a":{"$includes":"x"}}"#,
            r#"{"a": {"$includes": "x"}}"#,
            vec![json!({"a": ["x"]})],
            vec![json!({"a[0]": "x"})],
        ),
        (
            Native,
            r#"{"items[0].price": {"$gt": 5}}"#,
            r#"{"items":{"price":{"$gt":5}}}"#,
            r#"{"items": {"price": {"$gt": 5}}}"#,
            vec![json!({"items": [{"price": 6}]})],
            vec![json!({"items": []})],
        ),
        (
            Native,
            r#"{"a[*]": {"$gt": 5}}"#,
            r#"{"a":{"$some":{"$gt":5}}}"#,
            r#"{"a": {"$some": {"$gt": 5}}}"#,
            vec![json!({"a": [6]})],
            vec![json!({"a": 6})],
        ),
        (
            TriggerDev,
            r#"{"a[0]": ["x"]}"#,
            r#"{"a":[{"$includes":"x"}]}"#,
            r#"{"a": [{"$includes": "x"}]}"#,
            vec![json!({"a": ["x"]})],
            vec![json!({"a": "x"})],
        ),
        (
            Native,
            r#"{"/a/b": 1}"#,
            r#"{"a":{"b":1}}"#,
            r#"{"a": {"b": 1}}"#,
            vec![json!({"a": {"b": 1}})],
            vec![json!({"/a/b": 1})],
        ),
        (
            Native,
            r#"{"$.a.b": 1}"#,
            r#"{"a":{"b":1}}"#,
            r#"{"a": {"b": 1}}"#,
            vec![json!({"a": {"b": 1}})],
            vec![json!({})],
        ),
        (
            Native,
            r#"{"x": {"$regex": "/ab+c/i"}}"#,
            r#"{"$regex":"(?i)ab+c"}"#,
            r#"{"x": {"$regex": "(?i)ab+c"}}"#,
            vec![json!({"x": "xABBC"})],
            vec![json!({"x": "ac"})],
        ),
        (
            Native,
            r#"{"x": {"$wildcard": "report-?.*"}}"#,
            r#"{"$regex":"^(?s:report\\-.\\..*)$"}"#,
            r#"{"x": {"$regex": "^(?s:report\\-.\\..*)$"}}"#,
            vec![json!({"x": "report-1.pdf"})],
            vec![json!({"x": "report-12.pdf"})],
        ),
        (
            Native,
            r#"{"x": {"$startsWith": ["a", "b"]}}"#,
            r#"[{"$startsWith":"a"},{"$startsWith":"b"}]"#,
            r#"{"x": [{"$startsWith": "a"}, {"$startsWith": "b"}]}"#,
            vec![json!({"x": "ax"}), json!({"x": "bx"})],
            vec![json!({"x": "c"})],
        ),
        (
            Native,
            r#"{"x": {"$ignoreCase": {"$contains": ["a", "b"]}}}"#,
            r#"[{"$ignoreCase":{"$contains":"a"}},{"$ignoreCase":{"$contains":"b"}}]"#,
            r#"{"x": [{"$ignoreCase": {"$contains": "a"}}, {"$ignoreCase": {"$contains": "b"}}]}"#,
            vec![json!({"x": "xA"}), json!({"x": "B"})],
            vec![json!({"x": "c"})],
        ),
        (
            EventBridge,
            r#"{"x": [{"prefix": ["a", "b"]}]}"#,
            r#"{"prefix":"a"},{"prefix":"b"}"#,
            r#"{"x": [{"prefix": "a"}, {"prefix": "b"}]}"#,
            vec![json!({"x": "ax"}), json!({"x": "bx"})],
            vec![json!({"x": "c"})],
        ),
        (
            EventBridge,
            r#"{"x": [{"anything-but": [{"prefix": "a"}, {"prefix": "b"}]}]}"#,
            r#"{"anything-but":{"prefix":["a","b"]}}"#,
            r#"{"x": [{"anything-but": {"prefix": ["a", "b"]}}]}"#,
            vec![json!({"x": "c"})],
            vec![json!({"x": "a"}), json!({"x": "b"})],
        ),
        (
            EventBridge,
            r#"{"x": [{"numeric": ["!=", 5]}]}"#,
            r#"{"anything-but":5}"#,
            r#"{"x": [{"anything-but": 5}]}"#,
            vec![json!({"x": 4})],
            vec![json!({"x": 5})],
        ),
        (
            EventBridge,
            r#"{"x": [{"numeric": ["==", 5]}]}"#,
            r#"{"numeric":["=",5]}"#,
            r#"{"x": [{"numeric": ["=", 5]}]}"#,
            vec![json!({"x": 5})],
            vec![json!({"x": 4})],
        ),
        (
            EventBridge,
            r#"{"x": [{"numeric": 5}]}"#,
            r#"{"numeric":["=",5]}"#,
            r#"{"x": [{"numeric": ["=", 5]}]}"#,
            vec![json!({"x": 5})],
            vec![json!({"x": 4})],
        ),
        (
            EventBridge,
            r#"{"x": [{"contains": "a*b\\"}]}"#,
            r#"{"wildcard":"*a\\*b\\\\*"}"#,
            r#"{"x": [{"wildcard": "*a\\*b\\\\*"}]}"#,
            vec![json!({"x": "1a*b\\2"})],
            vec![json!({"x": "ab"})],
        ),
        (
            EventBridge,
            r#"{"x": [{"shellstyle": "a*b"}]}"#,
            r#"{"wildcard":"a*b"}"#,
            r#"{"x": [{"wildcard": "a*b"}]}"#,
            vec![json!({"x": "a1b"})],
            vec![json!({"x": "a"})],
        ),
        (
            Native,
            r#"{"n": {"$or": [{"$gt": 5}, {"$lt": 1}]}}"#,
            r#"[{"$gt":5},{"$lt":1}]"#,
            r#"{"n": [{"$gt": 5}, {"$lt": 1}]}"#,
            vec![json!({"n": 6}), json!({"n": 0})],
            vec![json!({"n": 3})],
        ),
        (
            Native,
            r#"{"n": {"$nor": [{"$gt": 5}, 1]}}"#,
            r#"{"$none":[{"$gt":5},1]}"#,
            r#"{"n": {"$none": [{"$gt": 5}, 1]}}"#,
            vec![json!({"n": 2})],
            vec![json!({"n": 6}), json!({"n": 1})],
        ),
        (
            Native,
            r#"{"n": {"$and": [{"$gt": 1}, {"$lt": 5}]}}"#,
            r#"{"$all":[{"$gt":1},{"$lt":5}]}"#,
            r#"{"n": {"$all": [{"$gt": 1}, {"$lt": 5}]}}"#,
            vec![json!({"n": 2})],
            vec![json!({"n": 6})],
        ),
        (
            Native,
            r#"{"$not": {"a": 1}}"#,
            r#"{"$nor":[{"a":1}]}"#,
            r#"{"$nor": [{"a": 1}]}"#,
            vec![json!({"a": 2}), json!({})],
            vec![json!({"a": 1})],
        ),
        (
            Native,
            r#"{"a": {"$not": {"$gt": 5}}}"#,
            r#"{"$anythingBut":{"$gt":5}}"#,
            r#"{"a": {"$anythingBut": {"$gt": 5}}}"#,
            vec![json!({"a": 5})],
            vec![json!({"a": 6})],
        ),
        (
            Native,
            r#"{"a": {"$not": ["x", "y"]}}"#,
            r#"{"$anythingBut":["x","y"]}"#,
            r#"{"a": {"$anythingBut": ["x", "y"]}}"#,
            vec![json!({"a": "z"})],
            vec![json!({"a": "x"})],
        ),
        (
            Native,
            r#"{"a": {"$eq": ["x", "y"]}}"#,
            r#"["x","y"]"#,
            r#"{"a": ["x", "y"]}"#,
            vec![json!({"a": "y"})],
            vec![json!({"a": "z"})],
        ),
        (
            Native,
            r#"{"a": {"$regex": "b", "$options": "i"}}"#,
            r#"{"$regex":"(?i)b"}"#,
            r#"{"a": {"$regex": "(?i)b"}}"#,
            vec![json!({"a": "XBX"})],
            vec![json!({"a": "a"})],
        ),
        (
            Native,
            r#"{"at": {"$gte": {"$date": "2026-01-31"}}}"#,
            r#"{"$after":"2026-01-31T00:00:00Z"}"#,
            r#"{"at": {"$after": "2026-01-31T00:00:00Z"}}"#,
            vec![json!({"at": "2026-01-31T00:00:01Z"})],
            vec![json!({"at": "2026-01-30T00:00:00Z"})],
        ),
        (
            Native,
            r#"{"at": {"$lt": "2026-01-31T09:30:00+01:00"}}"#,
            r#"{"$before":"2026-01-31T09:30:00+01:00"}"#,
            r#"{"at": {"$before": "2026-01-31T09:30:00+01:00"}}"#,
            vec![json!({"at": "2026-01-31T08:29:59Z"})],
            vec![json!({"at": "2026-01-31T09:00:00Z"})],
        ),
        (
            Native,
            r#"{"at": {"$between": ["2026-01-01", "2026-02-01"]}}"#,
            r#"{"$after":"2026-01-01T00:00:00Z","$before":"2026-02-01T00:00:00Z"}"#,
            r#"{"at": {"$after": "2026-01-01T00:00:00Z", "$before": "2026-02-01T00:00:00Z"}}"#,
            vec![json!({"at": "2026-01-31T08:29:59Z"})],
            vec![json!({"at": "2026-02-01T09:00:00Z"})],
        ),
        (
            Native,
            r#"{"n": {"$between": [1, {"$ref": "/limit"}]}}"#,
            r#"{"$gte":1,"$lte":{"$ref":"/limit"}}"#,
            r#"{"n": {"$gte": 1, "$lte": {"$ref": "/limit"}}}"#,
            vec![json!({"n": 5, "limit": 5})],
            vec![json!({"n": 6, "limit": 5})],
        ),
        (
            Native,
            r#"{"a": {"$before": "2026-01-31 09:30"}}"#,
            r#""2026-01-31T09:30:00Z""#,
            r#"{"a": {"$before": "2026-01-31T09:30:00Z"}}"#,
            vec![json!({"a": "2026-01-31T09:29:00Z"})],
            vec![json!({"a": "2026-01-31T09:31:00Z"})],
        ),
        (
            Native,
            r#"{"$expr": {"$gt": ["$spent", "$budget.total"]}}"#,
            r#"{"spent":{"$gt":{"$ref":"/budget/total"}}}"#,
            r#"{"spent": {"$gt": {"$ref": "/budget/total"}}}"#,
            vec![json!({"spent": 2, "budget": {"total": 1}})],
            vec![json!({"spent": 1, "budget": {"total": 1}})],
        ),
        (
            Native,
            r#"{"$expr": {"$ne": ["$a.x", "$b"]}}"#,
            r#"{"a":{"x":{"$anythingBut":{"$eq":{"$ref":"/b"}}}}}"#,
            r#"{"a": {"x": {"$anythingBut": {"$eq": {"$ref": "/b"}}}}}"#,
            vec![json!({"a": {"x": 1}, "b": 2})],
            vec![json!({"a": {"x": 1}, "b": 1})],
        ),
        (
            Native,
            r#"{"a": {"$type": "string"}}"#,
            r#"{"$startsWith":""}"#,
            r#"{"a": {"$startsWith": ""}}"#,
            vec![json!({"a": ""}), json!({"a": "x"})],
            vec![json!({"a": 1}), json!({"a": ["x"]})],
        ),
        (
            Native,
            r#"{"a": {"$type": "number"}}"#,
            r#"{"$between":[-1.7976931348623157e308,1.7976931348623157e308]}"#,
            r#"{"a": {"$between": [-1.7976931348623157e308, 1.7976931348623157e308]}}"#,
            vec![json!({"a": 1}), json!({"a": u64::MAX}), json!({"a": -0.5})],
            vec![json!({"a": "1"}), json!({"a": null})],
        ),
        (
            Native,
            r#"{"a": {"$type": "array"}}"#,
            r#"{"$size":{"$gte":0}}"#,
            r#"{"a": {"$size": {"$gte": 0}}}"#,
            vec![json!({"a": []})],
            vec![json!({"a": {}})],
        ),
        (
            Native,
            r#"{"a": {"$type": "bool"}}"#,
            "[true,false]",
            r#"{"a": [true, false]}"#,
            vec![json!({"a": false})],
            vec![json!({"a": null})],
        ),
        (
            Native,
            r#"{"a": {"$ref": "/b"}}"#,
            r#"{"$eq":{"$ref":"/b"}}"#,
            r#"{"a": {"$eq": {"$ref": "/b"}}}"#,
            vec![json!({"a": 1, "b": 1})],
            vec![json!({"a": 1, "b": 2})],
        ),
        (
            Native,
            r#"{"a": {"$ne": {"$ref": "/b"}}}"#,
            r#"{"$anythingBut":{"$eq":{"$ref":"/b"}}}"#,
            r#"{"a": {"$anythingBut": {"$eq": {"$ref": "/b"}}}}"#,
            vec![json!({"a": 1, "b": 2})],
            vec![json!({"a": 1, "b": 1})],
        ),
        (
            Native,
            r#"{"a": {"$gt": {"$ref": "b.c"}}}"#,
            r#""/b/c""#,
            r#"{"a": {"$gt": {"$ref": "/b/c"}}}"#,
            vec![json!({"a": 2, "b": {"c": 1}})],
            vec![json!({"a": 1, "b": {"c": 1}})],
        ),
        (
            Native,
            r#"{"a": {"$elemMatch": {"b": 1}}}"#,
            r#"{"$some":{"b":1}}"#,
            r#"{"a": {"$some": {"b": 1}}}"#,
            vec![json!({"a": [{"b": 1}]})],
            vec![json!({"a": {"b": 1}})],
        ),
        (
            Native,
            r#"{"a": {"$ignoreCase": "x"}}"#,
            r#"{"$ignoreCase":{"$eq":"x"}}"#,
            r#"{"a": {"$ignoreCase": {"$eq": "x"}}}"#,
            vec![json!({"a": "X"})],
            vec![json!({"a": "xx"})],
        ),
        (
            Native,
            r#"{"a": {"$all": ["x", 1]}}"#,
            r#"{"$all":[{"$includes":"x"},{"$includes":1}]}"#,
            r#"{"a": {"$all": [{"$includes": "x"}, {"$includes": 1}]}}"#,
            vec![json!({"a": [1, "y", "x"]})],
            vec![json!({"a": "x"}), json!({"a": ["x"]})],
        ),
        (
            Native,
            r#"{"a": {"$gt": "$b.c"}}"#,
            r#"{"$gt":{"$ref":"/b/c"}}"#,
            r#"{"a": {"$gt": {"$ref": "/b/c"}}}"#,
            vec![json!({"a": 2, "b": {"c": 1}})],
            vec![json!({"a": 1, "b": {"c": 1}})],
        ),
        (
            Native,
            r#"{"a": {">=": 5, "<": 9}}"#,
            r#"{"$gte":5,"$lt":9}"#,
            r#"{"a": {"$gte": 5, "$lt": 9}}"#,
            vec![json!({"a": 5})],
            vec![json!({"a": 9})],
        ),
        (
            Native,
            r#"{"a": {"$size": "3"}}"#,
            "3",
            r#"{"a": {"$size": 3}}"#,
            vec![json!({"a": [1, 2, 3]})],
            vec![json!({"a": []})],
        ),
        (
            Native,
            r#"{"a": {"$exists": 0}}"#,
            "false",
            r#"{"a": {"$exists": false}}"#,
            vec![json!({})],
            vec![json!({"a": 0})],
        ),
        (
            Native,
            r#"{"AND": [{"a": 1}, {"b": 2}]}"#,
            r#""$and""#,
            r#"{"$and": [{"a": 1}, {"b": 2}]}"#,
            vec![json!({"a": 1, "b": 2})],
            vec![json!({"a": 1})],
        ),
        (
            EventBridge,
            r#"{"or": [{"a": ["x"]}, {"b": ["y"]}]}"#,
            r#""$or""#,
            r#"{"$or": [{"a": ["x"]}, {"b": ["y"]}]}"#,
            vec![json!({"b": "y"})],
            vec![json!({"a": "y"})],
        ),
        (
            TriggerDev,
            r#"{"a": {"$not": ["x"]}}"#,
            r#"[{"$not":"x"}]"#,
            r#"{"a": [{"$not": "x"}]}"#,
            vec![json!({"a": "y"})],
            vec![json!({"a": "x"}), json!({})],
        ),
        (Native, r#""done""#, r#"["done"]"#, r#"["done"]"#, vec![json!("done")], vec![json!({})]),
    ]
}

#[test]
fn suggestions_compile_and_mean_what_was_intended() {
    for (dialect, mistaken, suggested, corrected, matching, other) in cases() {
        let options = FilterOptions::new().dialect(dialect);
        let diagnostics = match options.parse(mistaken) {
            Ok(filter) => filter.warnings().to_vec(),
            Err(error) => error.diagnostics().to_vec(),
        };
        let help: String = diagnostics.iter().filter_map(filter::Diagnostic::help).collect();
        let compact = |text: &str| text.replace(' ', "");
        assert!(compact(&help).contains(suggested), "{mistaken}: {help}");
        assert!(compact(corrected).contains(suggested), "{corrected}");
        let filter = options.parse(corrected).unwrap_or_else(|error| panic!("{corrected}: {error}"));
        assert!(filter.warnings().is_empty(), "{corrected}: {:?}", filter.warnings());
        matching.iter().for_each(|event| assert!(filter.matches(event), "{corrected} on {event}"));
        other.iter().for_each(|event| assert!(!filter.matches(event), "{corrected} on {event}"));
    }
}

/// The JSON in a text: each array or object that begins behind a space, `:` or the beginning.
fn fragments(text: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '[']) {
        let mut values = serde_json::Deserializer::from_str(&rest[at..]).into_iter::<Value>();
        let length = match values.next() {
            Some(Ok(value)) => {
                found.push(value);
                values.byte_offset()
            }
            // A scheme such as `{"field": condition}`.
            _ => 1,
        };
        rest = &rest[at + length..];
    }
    found
}

#[test]
fn each_condition_in_a_help_line_compiles() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/filters");
    let mut mistakes: Vec<(Dialect, String)> =
        cases().into_iter().map(|(dialect, mistaken, ..)| (dialect, mistaken.to_owned())).collect();
    for kind in ["bad", "suspicious"] {
        for file in std::fs::read_dir(folder.join(kind)).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let dialect = Dialect::ALL.into_iter().find(|d| name.starts_with(d.name())).unwrap_or_default();
            mistakes.push((dialect, std::fs::read_to_string(path).unwrap()));
        }
    }
    let mut judged = 0;
    for (dialect, mistaken) in mistakes {
        let options = FilterOptions::new().dialect(dialect);
        let diagnostics = match options.parse(&mistaken) {
            Ok(filter) => filter.warnings().to_vec(),
            Err(error) => error.diagnostics().to_vec(),
        };
        for help in diagnostics.iter().filter_map(filter::Diagnostic::help) {
            for fragment in fragments(help) {
                // A filter, the condition on a field, one in a list, or the argument of the operator at hand.
                let places = [
                    fragment.clone(),
                    json!({"field": fragment}),
                    json!({"field": [fragment]}),
                    json!({"field": {"$between": fragment}}),
                    json!({"field": {"$gt": fragment}}),
                ];
                let native = FilterOptions::new();
                let compiles =
                    |place: &Value| options.from_value(place).is_ok() || native.from_value(place).is_ok();
                assert!(places.iter().any(compiles), "{mistaken}: {help}: {fragment}");
                judged += 1;
            }
        }
    }
    assert!(judged > 80, "{judged}");
}

/// The operators that other languages have, an argument, and what they ask of a value.
type Foreign = (&'static [&'static str], Value, fn(&Value) -> bool);

fn foreign() -> Vec<Foreign> {
    fn number(value: &Value) -> Option<f64> {
        value.as_f64()
    }
    fn text(value: &Value) -> &str {
        value.as_str().unwrap_or("-")
    }
    vec![
        (&["eq", "equals", "equal", "exactly", "==", "="], json!("ab"), |v| v == "ab"),
        (&["ne", "neq", "notEquals", "not", "!=", "<>"], json!("ab"), |v| v != "ab"),
        (&["in", "oneOf", "anyOf"], json!(["ab", "b"]), |v| v == "ab" || v == "b"),
        (&["nin", "notIn"], json!(["ab", "b"]), |v| v != "ab" && v != "b"),
        (&["gt", "greaterThan", "greater", ">"], json!(3), |v| number(v) > Some(3.0)),
        (&["gte", "ge", ">="], json!(3), |v| number(v) >= Some(3.0)),
        (&["lt", "lessThan", "less", "<"], json!(3), |v| number(v).is_some_and(|n| n < 3.0)),
        (&["lte", "le", "<="], json!(3), |v| number(v).is_some_and(|n| n <= 3.0)),
        (&["between", "range"], json!([1, 3]), |v| number(v).is_some_and(|n| (1.0..=3.0).contains(&n))),
        (&["numeric"], json!([">", 1, "<=", 3]), |v| number(v).is_some_and(|n| n > 1.0 && n <= 3.0)),
        (&["startsWith", "beginsWith", "prefix"], json!("a"), |v| text(v).starts_with('a')),
        (&["endsWith", "suffix"], json!("b"), |v| text(v).ends_with('b')),
        (&["contains"], json!("b"), |v| text(v).contains('b')),
        (&["ignoreCaseEquals", "equals-ignore-case"], json!("AB"), |v| text(v).eq_ignore_ascii_case("ab")),
        (&["regex", "regexp", "pattern"], json!("^a.?$"), |v| text(v) == "ab" || text(v) == "a"),
        (&["wildcard", "shellstyle", "glob"], json!("a*"), |v| text(v).starts_with('a')),
        (&["cidr"], json!("10.0.0.0/8"), |v| text(v).starts_with("10.")),
        (&["exists"], json!(true), |_| true),
    ]
}

/// Each operator of another language, wherever it is written: if the help shows a condition, that is equivalent.
#[test]
fn foreign_operators_are_translated_with_their_meaning() {
    let values = [
        json!("ab"),
        json!("a"),
        json!("b"),
        json!("AB"),
        json!("xbx"),
        json!("10.1.2.3"),
        json!(0),
        json!(1),
        json!(2.5),
        json!(3),
        json!(4),
        json!(true),
    ];
    let mut translated = [0; 3];
    for (names, argument, expected) in foreign() {
        for name in names {
            for (dialect, count) in Dialect::ALL.into_iter().zip(&mut translated) {
                let options = FilterOptions::new().dialect(dialect);
                for key in [(*name).to_owned(), format!("${name}"), name.to_uppercase()] {
                    let matcher = json!({ key: argument });
                    for mistaken in [json!({"a": matcher}), json!({"a": [matcher]})] {
                        let diagnostics = match options.from_value(&mistaken) {
                            Ok(filter) => filter.warnings().to_vec(),
                            Err(error) => error.diagnostics().to_vec(),
                        };
                        let helps = diagnostics.iter().filter_map(filter::Diagnostic::help);
                        for help in helps.filter(|help| !help.contains("did you mean")) {
                            let [written] = fragments(help).try_into().unwrap_or([Value::Null]);
                            if written.is_null() || help.contains('…') {
                                continue;
                            }
                            let corrected = match (&written, dialect) {
                                (Value::Array(_), _) | (_, Dialect::Native) => json!({"a": written}),
                                _ => json!({"a": [written]}),
                            };
                            let filter = options
                                .from_value(&corrected)
                                .unwrap_or_else(|error| panic!("{mistaken}: {help}: {error}"));
                            for value in &values {
                                let matched = filter.matches(&json!({ "a": value }));
                                assert_eq!(
                                    matched,
                                    expected(value),
                                    "{mistaken}: {help}: {corrected} on {value}"
                                );
                            }
                            *count += 1;
                        }
                    }
                }
            }
        }
    }
    let [native, trigger_dev, event_bridge] = translated;
    assert!(native > 100 && trigger_dev > 60 && event_bridge > 100, "{translated:?}");
}

#[test]
fn texts_in_other_languages_are_recognised() {
    for (text, expected) in [
        (".a.b == 1", "jq"),
        ("select(.a == 1)", "jq"),
        ("a: 1\nb: 2", "YAML"),
        ("---\na: 1", "YAML"),
        ("- a", "YAML"),
        ("type = \"x\"", "expression"),
        ("a.b == 1 && c == 2", "expression"),
        ("$.a[0].b", "expression"),
        ("status in (1, 2)", "expression"),
        ("SELECT * FROM events WHERE a = 1", "SQL"),
    ] {
        let error = filter::Filter::parse(text).unwrap_err();
        let help = error.diagnostics()[0].help().unwrap_or_default();
        assert!(help.contains(expected), "{text}: {help}");
        let fragment = fragments(help).pop().unwrap();
        assert!(filter::Filter::try_from(&fragment).is_ok(), "{help}");
    }
    for (event, expected) in [
        (&b"\x1F\x8B\x08\0"[..], "gzip"),
        (b"\x28\xB5\x2F\xFD", "Zstandard"),
        (b"\xFF\xFE{\0}\0", "UTF-16"),
        (b"\"\xFF\"", "JSON is UTF-8"),
    ] {
        let error = filter::Filter::parse("{}").unwrap().matches_slice(event).unwrap_err();
        assert!(error.diagnostic().help().unwrap().contains(expected), "{error}");
    }
    // Not jq.
    let error = filter::Filter::parse(".5").unwrap_err();
    assert!(error.diagnostics()[0].help().unwrap().contains("digit"));
}

#[test]
fn shortened_values_are_not_suggested() {
    let long = "x".repeat(200);
    for (dialect, filter) in [
        (Dialect::EventBridge, json!({ "a": long })),
        (Dialect::TriggerDev, json!({ "a": long })),
        (Dialect::Native, json!({"a": {"$some": long}})),
    ] {
        let error = FilterOptions::new().dialect(dialect).from_value(&filter).unwrap_err();
        let help = error.diagnostics()[0].help().unwrap();
        assert!(!help.contains('…') && help.contains("in an array"), "{dialect}: {help}");
    }
}
