module steady/bench/syncmap

go 1.19
